"""Repeatability: do two seeds rank the pixels alike? Spearman's rank correlation of their maps.

1 is the same order, 0 is what unrelated maps get. It judges the method and its budget, not the model. Of two maps that
are there already it asks nothing; `Repeatability` asks for the maps of other seeds, and `agreement` compares all pairs.
A map that is wrong the same way each time repeats perfectly.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics import Measurement, Metric, Need, Quantity, Question
from bbquery.metrics._maps import checked
from bbquery.perturb.checks import at_least_one
from bbquery.plan import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.saliency import Method
    from bbquery.types import Domain, Image, SaliencyMap


@dataclass(frozen=True, kw_only=True)
class Repeatability(Metric):
    """Explain a photo again by the method that made the map, with the seeds that follow its own.

    Args:
        repeats: further maps; at least 1.

    Raises:
        UsageError: repeats below 1.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("repeatability", "higher", "rank correlation, -1 to 1", "unrelated maps get 0"),
        Quantity("repeatability_spread", "lower", "rank correlation", "pairs share maps, so it is less than their own"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("made",)
    lowered: ClassVar[str] = "repeats"
    place: ClassVar[int] = 70
    repeats: int = 3

    def __post_init__(self) -> None:
        at_least_one("repeats", self.repeats)

    def queries(self, method: Method) -> int:
        """Return how many rows are asked with a method: a whole map each time."""
        return self.repeats * method.queries

    def seeds(self, seed: int) -> range:
        """Return the seeds of the further maps: those that follow the seed of the first."""
        return range(seed + 1, seed + 1 + self.repeats)

    def plan(self, x: Image, domain: Domain, method: Method, seed: int) -> Plan[list[SaliencyMap]]:
        """Ask all that `method` asks of x (H, W, 3) with each of `seeds`, in lock-step; return the maps in that order.

        seed: of the map that these are to be compared with.
        """
        maps = yield from together([method.plan(x, domain, other) for other in self.seeds(seed)])
        return maps

    def question(self, given: Given, /) -> Question:
        """Return the question of all further maps."""
        made = given.making
        return Question(
            name=f"Again(metric={self!r}, made={made!r})",
            queries=self.queries(made.method),
            plan=lambda case: self.plan(case.x, case.domain, made.method, made.seed),
        )

    def measurements(self, case: Case, answer: list[SaliencyMap], /) -> list[Measurement]:
        """Return how alike all pairs of maps are, in the photo's coordinates, and how that varies."""
        made, others = case.given.making, [case.to_photo(each.values) for each in answer]
        alike = agreement([case.in_photo, *others])
        seeds = ", ".join(map(str, self.seeds(made.seed)))
        return [
            quantity.measured(
                value, steps=self.repeats, queries=self.queries(made.method),
                unanswered=sum(each.rows - each.answered for each in answer),
                used=f"seed {made.seed} against {seeds}; {made.method.queries} queries a map",
            )
            for quantity, value in zip(self.quantities, (alike.mean, alike.spread), strict=True)
        ]  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """How alike several maps rank the pixels.

    mean: of the rank correlations of all pairs of maps, -1 to 1; NaN where a map is constant. spread: their standard
    deviation (n - 1); NaN where there is but one pair. pairs: how many.
    """

    mean: float
    spread: float
    pairs: int


def agreement(maps: Sequence[NDArray[np.float64]]) -> Agreement:
    """Compare each two of several maps (H, W) of one photo.

    Raises:
        UsageError: there are fewer than two maps, or two cannot be compared (see `repeatability`).
    """
    found = [repeatability(one, other) for one, other in itertools.combinations(maps, 2)]
    if not found:
        raise UsageError(f"{len(maps)} maps have no pair to compare: give at least two")
    spread = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return Agreement(float(np.mean(found)), spread, len(found))


def repeatability(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the rank correlation of two maps (H, W), -1 to 1; equal values share their mean rank.

    NaN where a map is constant. Values that are NaN in both maps, which the oracle did not see, are left out.

    Raises:
        UsageError: their shapes differ, or values are infinite or NaN in one of them only.
    """
    if np.shape(one) != np.shape(other):
        raise UsageError(f"maps of shapes {np.shape(one)} and {np.shape(other)} cannot be compared")
    seen = ~(np.isnan(one) & np.isnan(other))
    a, b = (_centred_ranks(checked(values[seen][None])) for values in (one, other))
    product = float(np.einsum("i,i->", a, b))
    lengths = math.sqrt(float(np.einsum("i,i->", a, a))) * math.sqrt(float(np.einsum("i,i->", b, b)))
    return product / lengths if lengths > 0 else math.nan


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, flat; equal ones have the mean of theirs. Ranks sum to 0."""
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    centred: NDArray[np.float64] = mean_ranks[place.ravel()] - (values.size + 1) / 2
    return centred


METRIC = Repeatability
