"""MIG: any saliency map or gradient inside MI-FGSM, estimated by asking, or taken from a surrogate to transfer from.

Ma et al., "Transferable Adversarial Attack for Both Vision Transformers and Convolutional Networks via Momentum
Integrated Gradients", 2023: integrated gradients S from a black baseline in the place of the gradient in MI-FGSM
(Dong et al., "Boosting Adversarial Attacks with Momentum", algorithm 1), T steps within ‖x' - x‖∞ ≤ ε:

    g ← μ g + S(x') / ‖S(x')‖₁
    x' ← clip_ε(x' - α sign(g))      α = ε / T; minus, as the value falls away from the label

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 4.3 and table 2, put
other maps in its place. They do not say how a map without signs (VarGrad) or without gradients (RISE) becomes a step.
Here a map says how much a place matters, and the gradients that it was made of say which way, in each channel:

1. S = |map| · sign(ḡ), with ḡ the mean of all gradients that the method's estimator gave at this step.
2. A method that estimates no gradient (RISE) gives S = map in all channels: what speaks for the label is darkened.

For integrated gradients from black the signs are those of the published form. For the vanilla gradient |map| is the
largest of the channels, not each one's own: only where signs differ from step to step does this matter.

Where the gradients come from:

1. From the oracle itself: the method asks, with an equal share of the queries at each step.
2. `surrogate_gradient`, a white box: it stands in for the method's estimator, so the method asks nothing.
3. `surrogate_value`, a black box: it answers all that the method asks, with its own share of `surrogate_queries`.

With a surrogate only the T iterates are asked. It is a function, so the attack stays one function of its arguments: no
second plan, no second oracle. `bbquery.interop.surrogates` makes such functions of a torch classifier, and of any.
The hard label alone is constant around most photos, and so has no gradient: then MIG on the oracle itself stands still.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np

from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.errors import BbqueryError, UsageError, described
from bbquery.estimators import Gradient
from bbquery.perturb.checks import at_least_one, positive
from bbquery.plan import replay
from bbquery.saliency import Method
from bbquery.saliency._points import with_queries
from bbquery.saliency.integrated import IntegratedGradients
from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.estimators import GradientEstimator
    from bbquery.plan import Ask, Plan
    from bbquery.types import Domain, Image, SaliencyMap

T = TypeVar("T")
Surrogate: TypeAlias = Callable[[Any, Any], Any]

ROWS = 32  # given to a surrogate at once


@dataclass(frozen=True, kw_only=True)
class Mig:
    """Move a photo against its saliency map, step by step within a fixed L∞ ball.

    Args:
        queries: images to ask at most, those of the steps included; at least 1.
        method: the saliency method; its own number of queries does not count.
        steps: T, how often the photo is moved; at least 1.
        epsilon: ε, the largest change of a value; above 0.
        momentum: μ, the share of the last direction that is kept; at least 0.
        surrogate_gradient: of another model, a white box: from an image (H, W, 3), float64 in grey levels, and
            the clean one to d value / d image, the value being higher the nearer the label is to the clean
            image's.
        surrogate_value: of another model, a black box: from images (n, H, W, 3) and the clean one to their
            values (n,).
        surrogate_queries: images that surrogate_value is given at most; at least 1.

    Raises:
        UsageError: a number out of its range, too few queries for the steps, no saliency method, one that takes no
            number of queries, two surrogates, or a white box for a method without an estimator.
    """

    queries: int = 10_000
    method: Method = field(default_factory=IntegratedGradients)
    steps: int = 10
    epsilon: float = 10 / 255
    momentum: float = 1.0
    surrogate_gradient: Surrogate | None = None
    surrogate_value: Surrogate | None = None
    surrogate_queries: int = 10_000

    def __post_init__(self) -> None:
        for name in ("queries", "steps", "surrogate_queries"):
            at_least_one(name, getattr(self, name))
        positive("epsilon", self.epsilon)
        if not 0 <= self.momentum < np.inf:
            raise UsageError(f"momentum must be a finite number of at least 0, not {self.momentum}")
        if not isinstance(self.method, Method):
            raise UsageError(
                f"{self.method!r} is no saliency method; an estimator NAME is one as vanilla with estimator=NAME"
            )
        if self.surrogate_gradient is not None and self.surrogate_value is not None:
            raise UsageError("give surrogate_gradient or surrogate_value, not both")
        least = self.steps * (1 if self.transfers else 2)
        if self.queries < least:
            raise UsageError(f"steps={self.steps} needs at least {least} queries, and {self.queries} are given")
        if not self.share:
            raise UsageError(f"steps={self.steps} needs at least {self.steps} surrogate_queries")
        self._method([])

    @property
    def transfers(self) -> bool:
        """Whether gradients come from another model."""
        return self.surrogate_gradient is not None or self.surrogate_value is not None

    @property
    def share(self) -> int:
        """Number of rows that the method asks at each step."""
        return self.surrogate_queries // self.steps if self.transfers else self.queries // self.steps - 1

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries, "linf")
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        if start is not None:
            yield from record.is_adversarial(start)
        radius, g, at = GREY_LEVELS * self.epsilon, np.zeros(record.x.shape), record.x
        for step in range(self.steps):
            saliency = yield from self._saliency(record, at, (seed + step) % 2**64)
            length = float(np.abs(saliency).mean())
            if length > 0:
                g = self.momentum * g + saliency / length
            change = np.clip(at - record.x - radius / self.steps * np.sign(g), -radius, radius)
            at = np.clip(record.x + change, 0, GREY_LEVELS)
            yield from record.is_adversarial(record.x + np.trunc(change) if record.domain.dtype == "uint8" else at)

    def _saliency(self, record: Record, at: NDArray[np.float64], seed: int) -> Plan[NDArray[np.float64]]:
        """Return S at a point, (H, W, 3)."""
        gradients: list[NDArray[np.float64]] = []
        plan = self._method(gradients, clean=record.x).plan(record.domain.realise(at), record.domain, seed)
        if self.transfers:
            found: SaliencyMap = replay(plan, self._surrogate_answers(record.x))
        else:
            found = yield from through(record, plan)
        values = found.values[..., None]
        return np.abs(values) * np.sign(sum(gradients)) if gradients else np.repeat(values, 3, axis=2)

    def _surrogate_answers(self, clean: NDArray[np.float64]) -> Callable[[Ask], Scores]:
        def answer(ask: Ask) -> Scores:
            value, rows = cast("Surrogate", self.surrogate_value), range(len(ask.images))
            parts = [rows[first : first + ROWS] for first in range(0, len(rows), ROWS)]
            images = (np.stack([ask.images[row] for row in part]).astype(np.float64) for part in parts)
            values = np.concatenate(
                [_answer("surrogate_value", value, batch, clean, (len(batch),)) for batch in images]
            )
            return Scores(np.full(len(values), Decision.MET, np.int8), values)

        return answer

    def _method(self, gradients: list[NDArray[np.float64]], clean: NDArray[np.float64] | None = None) -> Method:
        """Return the method with its share of the queries; what its estimator finds is added to `gradients`."""
        options = {option.name for option in dataclasses.fields(cast("Any", self.method))}
        changed: dict[str, Any] = {"queries": self.share} if "queries" in options else {}
        if "estimator" in options:
            own = with_queries(cast("Any", self.method).estimator, self.share)
            changed["estimator"] = _Overheard(own, self.share, gradients, self.surrogate_gradient, clean)
        elif self.surrogate_gradient is not None:
            raise UsageError(f"{self.method!r} takes no gradient: give a method with an estimator, or surrogate_value")
        if not changed:
            raise UsageError(f"{self.method!r} must have the option queries, to be given a share")
        return cast("Method", dataclasses.replace(cast("Any", self.method), **changed))


@dataclass(frozen=True)
class _Overheard:
    """An estimator, or a white box in its place, whose gradients are heard."""

    estimator: GradientEstimator
    queries: int
    heard: list[NDArray[np.float64]]
    white_box: Surrogate | None
    clean: NDArray[np.float64] | None

    @property
    def adaptive(self) -> bool:
        return self.estimator.adaptive

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        if self.white_box is None:
            gradient = yield from with_queries(self.estimator, self.queries).plan(x, domain, seed)
        else:
            values = _answer("surrogate_gradient", self.white_box, x.astype(np.float64), self.clean, x.shape)
            gradient = Gradient(values, self.queries, self.queries, math.nan)
        self.heard.append(gradient.values)
        return gradient


def _answer(
    name: str,
    surrogate: Surrogate,
    images: NDArray[np.float64],
    clean: NDArray[np.float64] | None,
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Return what a surrogate says of images.

    Raises:
        UsageError: it raises, or does not return finite numbers of this shape. BbqueryError: it asked a model in vain.
    """
    try:
        values = np.asarray(surrogate(images, clean), dtype=np.float64)
    except BbqueryError:
        raise
    except Exception as error:
        raise UsageError(f"{name} raised {described(error)}") from error
    if values.shape != shape or not np.isfinite(values).all():
        returned = "others" if values.shape == shape else f"an array of shape {values.shape}"
        raise UsageError(f"{name} must return finite numbers of shape {shape}, and returned {returned}")
    return values


def through(record: Record, plan: Plan[T]) -> Plan[T]:
    """Run a plan whose rows are asked, each once, and recorded.

    Raises:
        Stopped: no more can be asked.
    """
    try:
        ask = next(plan)
        while True:
            ask = plan.send((yield from record.ask(ask.images)))
    except StopIteration as end:
        result: T = end.value
        return result


ATTACK = Mig
