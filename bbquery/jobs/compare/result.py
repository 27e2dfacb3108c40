"""What a comparison hands over: a map per method, how well each ranks pixels, and how much they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.jobs.explain.ranks import rank_correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.errors import BbqueryError
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState
    from bbquery.metrics.srg import Curves, DeletionInsertion
    from bbquery.oracle import Capabilities

Status: TypeAlias = Literal["complete", "partial", "failed", "not begun"]


@dataclass(frozen=True, eq=False)
class Compared:
    """What became of one method. name: how its budget and its folder end. method: as it was given.

    explanation: None where not even the unperturbed image was answered. curves: its deletion and insertion, None where
    they were not asked for or could not be asked. error: what ended it early, None where nothing did. ended_run:
    whether that ended the run as a whole. rests: what completing the map and its measuring takes.
    from_store: answers to both for which nothing was sent. sent: attempts for both.
    """

    name: str
    method: str
    explanation: Explanation | None
    curves: Curves | None
    error: BbqueryError | None
    ended_run: bool
    rests: tuple[Rest, ...] = ()
    from_store: int = 0
    sent: int = 0

    @property
    def status(self) -> Status:
        """Complete; partial: fewer answers than planned; failed: for a cause of its own; not begun: the run ended."""
        if self.explanation is None:
            return "not begun" if self.ended_run else "failed"
        return "partial" if self.error is not None or self.explanation.partial else "complete"

    @property
    def map(self) -> TargetMap | None:
        """Its map, where there is one."""
        return None if self.explanation is None else self.explanation.maps[0]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps of one image by several methods. metric: how they were measured, None where they were not.

    photo: (H, W, 3) uint8. results: in the order of the methods. budget: of all together.
    """

    run: str
    photo: NDArray[np.uint8]
    oracle: Capabilities
    results: tuple[Compared, ...]
    metric: DeletionInsertion | None
    seed: int
    budget: BudgetState

    @property
    def error(self) -> BbqueryError | None:
        """What ended the run, or else the first method that is not whole; None where nothing did."""
        ended = [each.error for each in self.results if each.ended_run]
        return next(iter([*ended, *(each.error for each in self.results if each.error is not None)]), None)

    @property
    def from_store(self) -> int:
        """How many answers came from the store: from earlier runs, or paid for by another method."""
        return sum(each.from_store for each in self.results)

    @property
    def sent(self) -> int:
        """How many attempts left in this run, for maps and for measuring them."""
        return sum(each.sent for each in self.results)

    def agreement(self) -> NDArray[np.float64]:
        """Return the rank correlation of each two maps, (n, n); NaN without a map, or where one is constant."""
        maps = [None if each.map is None else each.map.sent.values for each in self.results]
        found = np.full((len(maps), len(maps)), np.nan)
        for i, one in enumerate(maps):
            for j, other in enumerate(maps[: i + 1]):
                if one is not None and other is not None:
                    found[i, j] = found[j, i] = rank_correlation(one, other)
        return found
