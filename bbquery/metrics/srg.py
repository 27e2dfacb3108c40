"""Deletion, insertion and their difference (Petsiuk et al., "RISE", section 4.1; SRG: Blücher et al., 2024).

Pixels are taken in descending order of the map, in equal shares. Deletion hides them, and the score should fall early;
insertion begins with all hidden and reveals them, and the score should rise early. Each curve has an area below it, by
the trapezium rule over the share of pixels, 0 to 1. Either alone can be won by leaving the data: SRG = insertion -
deletion is consistent where they contradict each other.

What is measured is the caller's score, bound to one target: the published numbers are of the probability of the class
that came first in the unperturbed photo. Numbers compare only at equal fills and steps, so `Curves` carries both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics import Measurement, Metric, Quantity, Question
from bbquery.metrics._maps import checked, ranks
from bbquery.perturb.baselines import AnyFill, filled, known_fill
from bbquery.perturb.checks import at_least_one
from bbquery.plan import Ask, Stopped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores as pixels vanish and appear, the most important first.

    shares: float64 (steps + 1,), the share of pixels taken, 0 to 1. deletion: (steps + 1,), the score with that share
    hidden. insertion: (steps + 1,), the score with that share revealed. Where an answer is missing a curve is
    interpolated linearly between its neighbours and goes on level beyond the last; NaN throughout without any answer.
    deletion_fill, insertion_fill: what stood where pixels were hidden. unanswered: how many rows had no answer.
    """

    shares: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    deletion_fill: AnyFill
    insertion_fill: AnyFill
    unanswered: int

    @property
    def steps(self) -> int:
        """In how many equal shares the pixels were taken."""
        return len(self.shares) - 1

    @property
    def deletion_auc(self) -> float:
        """The area below the deletion curve, in score: lower is better."""
        return area(self.shares, self.deletion)

    @property
    def insertion_auc(self) -> float:
        """The area below the insertion curve, in score: higher is better."""
        return area(self.shares, self.insertion)

    @property
    def srg(self) -> float:
        """Insertion minus deletion, in score: higher is better, 0 is what a random order gets if the fills agree."""
        return self.insertion_auc - self.deletion_auc


def area(shares: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return the area below a curve by the trapezium rule."""
    return float(np.sum(np.diff(shares) * (scores[1:] + scores[:-1]) / 2))


@dataclass(frozen=True, kw_only=True)
class DeletionInsertion:
    """Measure how well a map ranks pixels, by hiding and revealing them in its order.

    steps: in how many equal shares pixels are taken, at least 1; RISE took 224. deletion_fill: what hides pixels;
    insertion_fill: what they are revealed from. Each is a named filling or a grey level (0 to 255). Name others than
    the one that the map was made with.

    Raises:
        UsageError: steps below 1, or a number that is no grey level. UnknownName: an unknown fill.
    """

    adaptive: ClassVar[bool] = False
    steps: int = 56
    deletion_fill: AnyFill = "grey"
    insertion_fill: AnyFill = "blur"

    def __post_init__(self) -> None:
        at_least_one("steps", self.steps)
        known_fill(self.deletion_fill, "deletion_fill")
        known_fill(self.insertion_fill, "insertion_fill")

    @property
    def queries(self) -> int:
        """How many rows are asked: the whole photo, which both curves share, and `steps` for each curve."""
        return 2 * self.steps + 1

    def plan(self, x: Image, domain: Domain, values: NDArray[np.float64], seed: int) -> Plan[Curves]:
        """Ask for x (H, W, 3) with pixels hidden in the order of `values` (H, W), the highest first; return the curves.

        seed: the order of equal values, and the noise of that fill. Coarse steps are asked before fine ones, so that
        a run that is stopped has whole curves.

        Raises:
            UsageError: `values` is not of x's size or not finite, or there are more steps than pixels.
        """
        copies = RankedCopies(
            domain.realise(x),
            ranks(checked(values, x.shape[:2]), seed),
            fills=(
                domain.realise(filled(self.deletion_fill, x, seed)),
                domain.realise(filled(self.insertion_fill, x, seed)),
            ),
            steps=self.steps,
        )
        try:
            scores = yield Ask(copies)
        except Stopped as stop:
            scores = stop.scores  # every paid answer counts
        return self._curves(copies, scores.value)

    def _curves(self, copies: RankedCopies, scores: NDArray[np.float64]) -> Curves:
        found = np.full((2, self.steps + 1), np.nan)
        for (curve, taken), score in zip(copies.order, scores, strict=True):
            found[curve, taken] = score
        found[1, -1] = found[0, 0]  # all revealed is nothing hidden
        deletion, insertion = (interpolated(copies.shares, curve) for curve in found)
        missing = int(np.isnan(scores).sum())
        return Curves(copies.shares, deletion, insertion, self.deletion_fill, self.insertion_fill, missing)


class RankedCopies:
    """Copies of x with the highest-ranked pixels hidden, or only they revealed; none is held.

    x: (H, W, 3) as sent. ranked: (H, W), 0 is taken first. fills: two (H, W, 3), for deletion and for insertion.
    order: for each row its curve (0 deletion, 1 insertion) and how many of `steps` shares are taken.
    """

    def __init__(self, x: Image, ranked: NDArray[np.int64], *, fills: tuple[Image, Image], steps: int) -> None:
        if steps > ranked.size:
            raise UsageError(f"{steps} steps for {ranked.size} pixels: take at most one step a pixel")
        self._x, self._ranked, self._fills = x, ranked, fills
        self._taken = np.arange(steps + 1) * ranked.size // steps
        self.shares: NDArray[np.float64] = self._taken / ranked.size
        self.order = [(0, 0), (0, steps), (1, 0), *((curve, k) for k in coarse_first(steps) for curve in (0, 1))]

    def __len__(self) -> int:
        """How many copies."""
        return len(self.order)

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`: (H, W, 3), exactly as it will be sent."""
        curve, taken = self.order[row]
        first = (self._ranked < self._taken[taken])[..., None]
        shown, hidden = (self._x, self._fills[1]) if curve else (self._fills[0], self._x)
        return np.where(first, shown, hidden)


def coarse_first(steps: int) -> list[int]:
    """Return 1 to steps - 1, each the middle of the widest gap that those before it leave, to within one."""
    found, gaps = [], deque([(0, steps)])
    while gaps:
        start, stop = gaps.popleft()
        middle = (start + stop) // 2
        if start < middle:
            found.append(middle)
            gaps.extend([(start, middle), (middle, stop)])
    return found


def interpolated(shares: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a curve with its missing scores (NaN) interpolated; level beyond the outermost, NaN if there is none."""
    answered = ~np.isnan(scores)
    if not answered.any():
        return scores
    return np.interp(shares, shares[answered], scores[answered])


@dataclass(frozen=True, kw_only=True)
class OfCurves(Metric):
    """A metric of deletion and insertion curves: those of equal options ask them once.

    steps: in how many equal shares pixels are taken, at least 1. fill: what hides pixels; insertion_fill: what
    insertion begins with. Each is a named filling or a grey level (0 to 255).

    Raises:
        UsageError: steps below 1, or a number that is no grey level. UnknownName: an unknown fill.
    """

    chosen: ClassVar[bool] = True
    lowered: ClassVar[str] = "steps"
    steps: int = 56
    fill: AnyFill = "grey"
    insertion_fill: AnyFill = "blur"

    def __post_init__(self) -> None:
        at_least_one("steps", self.steps)
        known_fill(self.fill, "fill")
        known_fill(self.insertion_fill, "insertion_fill")

    def question(self, _: Given, /) -> Question:
        """Return the question of both curves."""
        curves = DeletionInsertion(steps=self.steps, deletion_fill=self.fill, insertion_fill=self.insertion_fill)
        return Question(
            name=repr(curves),
            queries=curves.queries,
            plan=lambda case: curves.plan(case.x, case.domain, case.values, case.seed),
            asks_photo=True,
        )


@dataclass(frozen=True, kw_only=True)
class Srg(OfCurves):
    """Deletion, insertion and their difference: how well a map ranks pixels.

    Name other fillings than the one that the map was made with.

    Args:
        steps: equal shares in which pixels are taken; at least 1.
        fill: what hides pixels: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        insertion_fill: what insertion begins with: likewise; 0 to 255.

    Raises:
        UsageError: steps below 1, or a number that is no grey level. UnknownName: an unknown fill.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("deletion", "lower", "score", "compare with a random order at the same fill and steps"),
        Quantity("insertion", "higher", "score", "compare with a random order at the same fill and steps"),
        Quantity("srg", "higher", "score", "a random order gets 0 if the fills agree"),
    )
    place: ClassVar[int] = 10

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        """What it hides pixels behind."""
        return self.fill, self.insertion_fill

    def measurements(self, _: Case, answer: Curves, /) -> list[Measurement]:
        """Return the areas below both curves, and their difference."""
        numbers = (answer.deletion_auc, answer.insertion_auc, answer.srg)
        fills = (f"{self.fill}", f"{self.insertion_fill}", f"{self.fill}, {self.insertion_fill}")
        queries = (self.steps + 1, self.steps + 1, 2 * self.steps + 1)
        return [
            quantity.measured(value, fill=fill, steps=self.steps, queries=rows, unanswered=answer.unanswered)
            for quantity, value, fill, rows in zip(self.quantities, numbers, fills, queries, strict=True)
        ]


METRIC = Srg
