"""Integrated gradients along the straight path from a baseline, with any gradient estimator.

Sundararajan et al., "Axiomatic Attribution for Deep Networks": A = (x - b) ∫₀¹ g(b + α (x - b)) dα, the product taken
value by value. As Zhang et al. (eq. 5) and GEEX ("iGEEX") use it, g is estimated at points of the path, with the
midpoint rule: αₖ = (k + ½) / n. Summed over all pixels A is f(x) - f(b), up to the rule's error and the estimates'.

An estimator of a smoothed score integrates that one: with `lr` the sum is the difference of two smoothed scores.
GEEX as published spends a pair of opposite rows at each of many points: `integrated:estimator=nes,steps=5000,rows=2`.
That is for float pixels. On uint8, `nes` and most others divide by the variance that they realised, which two rows do
not tell: `spsa`, whose changes are all of one size, loses nothing by it.

Points are visited far from each other first, so that a run that is stopped has seen the whole path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.perturb.baselines import Fill, filling
from bbquery.perturb.checks import at_least_one
from bbquery.saliency import Method
from bbquery.saliency._picture import Picture
from bbquery.saliency._points import Spread, advice, check_split, gradients, shares
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

__all__ = ["METHOD", "Baseline", "IntegratedGradients", "Picture"]

Baseline: TypeAlias = Fill | Picture
"""Where the path begins: a filling's name, or a picture of one's own."""


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(Method):
    """Explain a score by what each pixel adds to it on the path from a baseline to the photo.

    Signed, in units of the score, summed over the channels. Where photo and baseline are equal there is no way to go,
    so a black baseline gives nothing to black pixels, whatever they mean.

    Its standard error is that of points drawn by chance. As they are spread evenly, it is rather too large.

    Args:
        queries: images to ask in all, split evenly over the steps; at least 1.
        estimator: what asks at each step; its own number of queries does not count.
        baseline: where the path begins: a filling, or a picture, which is resized to the photo.
        steps: points of the path, at most; at least 1.
        rows: the fewest images at a step: where queries do not allow it, there are fewer steps; at least 1.

    Raises:
        UsageError: queries, steps or rows below 1, no such baseline, or an estimator without the option queries.
    """

    queries: int = 1000
    estimator: GradientEstimator = field(default_factory=LikelihoodRatio)
    baseline: Baseline = "black"
    steps: int = 50
    rows: int = 20

    def __post_init__(self) -> None:
        check_split(self.queries, self.rows, self.estimator)
        if not (isinstance(self.baseline, Picture) or self.baseline in get_args(Fill)):
            raise UnknownName("baseline", str(self.baseline), get_args(Fill))
        at_least_one("steps", self.steps)

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers."""
        return self.estimator.adaptive

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask along the path to x (H, W, 3); return the map, in score."""
        rows = shares(self.queries, self.steps, self.rows)
        path = Path(x, self._baseline(x, seed), domain, steps=len(rows))
        found = Spread(x.shape[:2])

        def take(gradient: NDArray[np.float64], weight: float) -> None:
            found.add(path.attribution(gradient), weight)

        answered = yield from gradients(self.estimator, path, rows, domain=domain, seed=seed, take=take)
        return SaliencyMap(
            found.mean,
            signed=True,
            unit="score",
            rows=self.queries,
            answered=answered,
            standard_error=found.standard_error(),
            notes=advice(rows, domain),
        )

    def _baseline(self, x: Image, seed: int) -> NDArray[np.float64]:
        if isinstance(self.baseline, Picture):
            return self.baseline.at(x.shape[0], x.shape[1])
        return filling(self.baseline, x, seed)


class Path:
    """The midpoints of `steps` equal parts of the straight path from baseline to x, in the order they are visited.

    x, baseline: (H, W, 3) in grey levels, both taken as `domain` would send them, as is each point.
    """

    def __init__(self, x: Image, baseline: NDArray[np.float64], domain: Domain, *, steps: int) -> None:
        self._baseline = domain.realise(baseline).astype(np.float64)
        self._way = domain.realise(x).astype(np.float64) - self._baseline
        self._domain = domain
        self._order = sorted(range(steps), key=_mirrored)

    def __len__(self) -> int:
        """Number of points."""
        return len(self._order)

    def __getitem__(self, row: int, /) -> Image:
        """Render the point that is visited as number `row`: (H, W, 3) of the domain's dtype."""
        alpha = (self._order[row] + 0.5) / len(self)
        return self._domain.realise(self._baseline + alpha * self._way)

    def attribution(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a gradient (H, W, 3) times the way, summed over the channels (H, W)."""
        added: NDArray[np.float64] = np.einsum("ijc,ijc->ij", gradient, self._way)
        return added


def _mirrored(number: int) -> str:
    """Return the binary digits of a number, last one first: numbers so sorted lie far from their neighbours."""
    return f"{number:b}"[::-1]


METHOD = IntegratedGradients
