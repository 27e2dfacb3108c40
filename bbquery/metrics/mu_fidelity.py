"""µFidelity, or faithfulness correlation (Bhatt et al., "Evaluating and aggregating feature-based model explanations").

    µF = corr over random subsets S of ( Σ_{i in S} Φᵢ , f(x) - f(x with S hidden) )

Subsets are cells of a grid, since single pixels of a photo cost nothing. Pearson's correlation is the paper's (eq. 1);
Spearman's, of ranks, asks only for the right order. 1 is best, 0 is what a map gets that has nothing to do with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.metrics import Measurement, Metric, Quantity, Question
from bbquery.metrics._hidden import losses
from bbquery.metrics._options import changed
from bbquery.metrics.gradient_cosine import gradient_cosine
from bbquery.metrics.repeatability import repeatability
from bbquery.perturb.baselines import AnyFill, known_fill
from bbquery.perturb.checks import at_least_one, proper_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Correlation = Literal["pearson", "spearman"]


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How a map's losses go along with the score's.

    correlation: -1 to 1; NaN where the score or the map's sums do not move, or below two answers. fill: what hid the
    subsets. copies, answered: how many were asked, and how many of them were answered along with the photo itself.
    """

    correlation: float
    fill: AnyFill
    copies: int
    answered: int


@dataclass(frozen=True, kw_only=True)
class MuFidelity(Metric):
    """Hide random subsets of cells and correlate what the score loses with what a map says.

    Args:
        copies: subsets that are hidden; at least 1.
        cells: cells along each side of the grid, at most the photo's pixels; at least 1.
        share: of the cells that is hidden; above 0, below 1.
        fill: what hides pixels: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        correlation: how losses and the map are compared: pearson or spearman.

    Raises:
        UsageError: a number out of its range. UnknownName: an unknown fill or correlation.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("mu_fidelity", "higher", "correlation, -1 to 1", "a map that has nothing to do with the score gets 0"),
    )
    chosen: ClassVar[bool] = True
    takes_gradient: ClassVar[bool] = True
    lowered: ClassVar[str] = "copies"
    place: ClassVar[int] = 40
    copies: int = 128
    cells: int = 9
    share: float = 0.2
    fill: AnyFill = "grey"
    correlation: Correlation = "pearson"

    def __post_init__(self) -> None:
        at_least_one("copies", self.copies)
        at_least_one("cells", self.cells)
        proper_share("share", self.share)
        known_fill(self.fill)
        if self.correlation not in get_args(Correlation):
            raise UnknownName("correlation", self.correlation, get_args(Correlation))

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        """What it hides pixels behind."""
        return (self.fill,)

    @property
    def queries(self) -> int:
        """How many rows are asked: the photo and its copies."""
        return self.copies + 1

    def plan(self, x: Image, domain: Domain, values: NDArray[np.float64], seed: int) -> Plan[Faithfulness]:
        """Ask for x (H, W, 3) with cells hidden; return how `values`, (H, W) or (H, W, 3), go along with the scores.

        Raises:
            UsageError: `values` does not fit x or is not finite, or there are more cells than pixels on a side.
        """
        draw = Cells((x.shape[0], x.shape[1]), self.cells, self.share)
        foretold, lost = yield from losses(values, x, domain, seed, draw=draw, fill=self.fill, copies=self.copies)
        return Faithfulness(self._correlated(foretold, lost), self.fill, self.copies, len(lost))

    def question(self, _: Given, /) -> Question:
        """Return the question of the photo and its copies."""
        return Question(
            name=repr(self),
            queries=self.queries,
            plan=lambda case: self.plan(case.x, case.domain, case.values, case.seed),
            asks_photo=True,
        )

    def measurements(self, _: Case, answer: Faithfulness, /) -> list[Measurement]:
        """Return how foretold losses go along with the score's."""
        (quantity,), missing = self.quantities, self.copies - answer.answered
        return [
            quantity.measured(
                answer.correlation, fill=f"{self.fill}", steps=self.copies, queries=self.queries, unanswered=missing,
                used=changed(self, "cells", "share", "correlation"),
            )
        ]  # fmt: skip

    def _correlated(self, foretold: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
        if len(lost) < 2 or np.ptp(foretold) == 0 or np.ptp(lost) == 0:
            return math.nan
        if self.correlation == "spearman":
            return repeatability(foretold[None], lost[None])
        return gradient_cosine(foretold - foretold.mean(), lost - lost.mean())


class Cells:
    """Draws a subset of the cells of a grid over a map of `size` (H, W), always the same number of them.

    Raises:
        UsageError: more cells than pixels on a side.
    """

    def __init__(self, size: tuple[int, int], cells: int, share: float) -> None:
        if cells > min(size):
            raise UsageError(f"{cells} cells on a side of {min(size)} pixels: take fewer cells, or leave µFidelity out")
        self._cells, self._hidden = cells, max(1, round(share * cells**2))
        self._row, self._column = (np.arange(side) * cells // side for side in size)

    def __call__(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return True in the cells, (H, W)."""
        grid = np.zeros(self._cells**2, dtype=np.bool_)
        grid[rng.permutation(grid.size)[: self._hidden]] = True
        return grid.reshape(self._cells, self._cells)[np.ix_(self._row, self._column)]


METRIC = MuFidelity
