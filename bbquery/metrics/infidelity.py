"""Infidelity (Yeh et al., "On the (in)fidelity and sensitivity of explanations", definition 2.1).

    INFD = E [(IᵀΦ - (f(x) - f(x - I)))²]

over random squares that are hidden: the squared error of what the map says they cost. I is what a map's values are per:
for a gradient (H, W, 3), in score per grey level, the change of pixels that was realised; for evidence (H, W), in
score, a 1 where a pixel is hidden. Lower is better, in squared units of the score.

Few maps are on the score's scale (RISE's is per cell, not per pixel), so by default Φ is first multiplied by the
number that serves it best, β = E[IᵀΦ d] / E[(IᵀΦ)²] for the true losses d, as the authors' code does, but never by one
below 0: a map that points the wrong way is no better than none. Then a map of zeros gets E[d²], and `explained` =
1 - INFD / E[d²] lies between 0 and 1, the higher the better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.metrics import Measurement, Metric, Quantity, Question
from bbquery.metrics._hidden import losses
from bbquery.metrics._options import changed
from bbquery.perturb.baselines import AnyFill, known_fill
from bbquery.perturb.checks import at_least_one, proper_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Scaling = Literal["best", "none"]


@dataclass(frozen=True, eq=False)
class Infidelities:
    """How far a map's losses are from the score's.

    infidelity: mean squared error, in squared score. explained: its complement as a share of the mean squared loss,
    1 for a perfect map; NaN where the score lost nothing. scale: what the map was multiplied by. fill: what hid the
    squares. copies, answered: how many were asked, and how many of them were answered along with the photo itself;
    without any, all figures are NaN.
    """

    infidelity: float
    explained: float
    scale: float
    fill: AnyFill
    copies: int
    answered: int


@dataclass(frozen=True, kw_only=True)
class Infidelity(Metric):
    """Hide random squares and compare what the score loses with what a map says.

    Args:
        copies: squares that are hidden; at least 1.
        side: of a square, as a share of the photo's shorter side; above 0, below 1.
        fill: what hides pixels: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        scale: best, which multiplies the map by the number that fits best, or none.

    Raises:
        UsageError: copies below 1, side not between 0 and 1, or no grey level. UnknownName: an unknown fill or scale.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("infidelity", "lower", "squared score", "a map of zeros gets the mean squared loss"),
        Quantity("explained", "higher", "share of the mean squared loss", "a map of zeros gets 0"),
    )
    chosen: ClassVar[bool] = True
    takes_gradient: ClassVar[bool] = True
    lowered: ClassVar[str] = "copies"
    place: ClassVar[int] = 30
    copies: int = 128
    side: float = 0.25
    fill: AnyFill = "grey"
    scale: Scaling = "best"

    def __post_init__(self) -> None:
        at_least_one("copies", self.copies)
        proper_share("side", self.side)
        known_fill(self.fill)
        if self.scale not in get_args(Scaling):
            raise UnknownName("scale of infidelity", self.scale, get_args(Scaling))

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        """What it hides pixels behind."""
        return (self.fill,)

    @property
    def queries(self) -> int:
        """How many rows are asked: the photo and its copies."""
        return self.copies + 1

    def plan(self, x: Image, domain: Domain, values: NDArray[np.float64], seed: int) -> Plan[Infidelities]:
        """Ask for x (H, W, 3) with squares hidden; return how well `values`, (H, W) or (H, W, 3), foretell the scores.

        Raises:
            UsageError: `values` does not fit x or is not finite.
        """
        draw = Squares((x.shape[0], x.shape[1]), self.side)
        foretold, lost = yield from losses(values, x, domain, seed, draw=draw, fill=self.fill, copies=self.copies)
        return self._compared(foretold, lost)

    def question(self, _: Given, /) -> Question:
        """Return the question of the photo and its copies."""
        return Question(
            name=repr(self),
            queries=self.queries,
            plan=lambda case: self.plan(case.x, case.domain, case.values, case.seed),
            asks_photo=True,
        )

    def measurements(self, _: Case, answer: Infidelities, /) -> list[Measurement]:
        """Return how far foretold losses are from the score's, and what they explain of it."""
        return [
            quantity.measured(
                value, fill=f"{self.fill}", steps=self.copies, queries=self.queries,
                unanswered=self.copies - answer.answered, used=changed(self, "side", "scale"),
            )
            for quantity, value in zip(self.quantities, (answer.infidelity, answer.explained), strict=True)
        ]  # fmt: skip

    def _compared(self, foretold: NDArray[np.float64], lost: NDArray[np.float64]) -> Infidelities:
        if not len(lost):
            return Infidelities(math.nan, math.nan, math.nan, self.fill, self.copies, 0)
        scale = best_scale(foretold, lost) if self.scale == "best" else 1.0
        infidelity, most = float(np.mean((scale * foretold - lost) ** 2)), float(np.mean(lost**2))
        explained = 1 - infidelity / most if most > 0 else math.nan
        return Infidelities(infidelity, explained, scale, self.fill, self.copies, len(lost))


def best_scale(foretold: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """Return the number from 0 on that brings foretold losses nearest to the real ones, by least squares."""
    square = float(np.sum(foretold**2))
    return max(0.0, float(np.sum(foretold * lost)) / square) if square > 0 else 0.0


class Squares:
    """Draws a whole square anywhere on a map of `size` (H, W). side: its share of the shorter side, or a pixel."""

    def __init__(self, size: tuple[int, int], side: float) -> None:
        self._size = size
        self._side = max(1, round(side * min(size)))

    def __call__(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return True in the square, (H, W)."""
        top, left = (int(rng.integers(side - self._side + 1)) for side in self._size)
        hidden = np.zeros(self._size, dtype=np.bool_)
        hidden[top : top + self._side, left : left + self._side] = True
        return hidden


METRIC = Infidelity
