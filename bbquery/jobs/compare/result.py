"""Result of a comparison: a map per method, how well each ranks pixels, and how much they agree."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.client.client import QueryCounts
from bbquery.jobs.compare.ranking import ranking
from bbquery.jobs.explain.ranks import rank_correlation
from bbquery.jobs.presented import Presented, brief, ending, html_of_part, in_a_line, several

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from bbquery.errors import BbqueryError
    from bbquery.jobs.compare.ranking import Ranking
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.parts import Status
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.metrics.srg import Curves, DeletionInsertion
    from bbquery.oracle import Capabilities
    from bbquery.types import Image

NO_QUERIES = QueryCounts(asked=0, sent=0, from_store=0, unknown=0)


@dataclass(frozen=True, eq=False)
class Compared:
    """The result of one method. name: how its budget and its folder end. method: as it was given.

    explanation: None where not even the unperturbed image was answered. curves: its deletion and insertion, None where
    they were not asked for or could not be asked. error: what ended it early, None where nothing did. ended_run:
    whether that ended the run as a whole. rests: what completing the map and its measuring takes. queries: of both.
    unknown: attempts of either that may have been billed without an answer.
    """

    name: str
    method: str
    explanation: Explanation | None
    curves: Curves | None
    error: BbqueryError | None
    ended_run: bool
    rests: tuple[Rest, ...] = ()
    queries: QueryCounts = NO_QUERIES
    unknown: tuple[UnknownAttempt, ...] = ()

    def __repr__(self) -> str:
        """Return which method it is, and what came of it, in a line."""
        measured = [] if self.curves is None else [f"SRG {self.curves.srg:.3f}"]
        return in_a_line(
            "Compared", repr(brief(self.method)), self.status, f"{self.queries.answered:,} queries", *measured
        )

    def _repr_html_(self) -> str:
        """Return it for a notebook: how it ended, its SRG where it was measured, and its map where there is one."""
        measured = "" if self.curves is None else f", SRG {self.curves.srg:z.3f}"
        return html_of_part(f"{self.method}: {self.status}{measured}", self.explanation, self.error)

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it."""
        return self if self.explanation is None else replace(self, explanation=self.explanation.called(call))

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
class Comparison(Presented):
    """Maps of one image by several methods. metric: how they were measured, None where they were not.

    photo: (H, W, 3) uint8. x: its pixels as they are sent unperturbed. results: in the order of the methods. budget: of
    all together. seconds: by stage. source: where the photo is from, in words.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    oracle: Capabilities
    results: tuple[Compared, ...]
    metric: DeletionInsertion | None
    seed: int
    budget: BudgetState
    seconds: dict[str, float]
    source: str = ""
    call: str = ""

    def __repr__(self) -> str:
        """Return which methods were compared, and what it took, in a line."""
        methods = several([each.method for each in self.results])
        queries = f"{self.queries.answered:,} queries"
        return in_a_line(
            "Comparison", methods, brief(self.oracle.name), queries, ending(self.error, partial=self.partial)
        )

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it, and with it each method's own explanation."""
        return replace(self, call=call, results=tuple(each.called(call) for each in self.results))

    @property
    def error(self) -> BbqueryError | None:
        """What ended the run, or else the first method that is not whole; None where nothing did."""
        ended = [each.error for each in self.results if each.ended_run]
        return next(iter([*ended, *(each.error for each in self.results if each.error is not None)]), None)

    @property
    def partial(self) -> bool:
        """Whether any method is not complete."""
        return any(each.status != "complete" for each in self.results)

    @property
    def queries(self) -> QueryCounts:
        """What was asked for maps and for measuring them; what another method has paid for came from the store."""
        return functools.reduce(QueryCounts.plus, (each.queries for each in self.results))

    @property
    def unknown(self) -> tuple[UnknownAttempt, ...]:
        """Attempts of all methods that may have been billed without an answer."""
        return tuple(attempt for each in self.results for attempt in each.unknown)

    def ranking(self) -> Ranking:
        """Return the methods by their SRG, with what cannot be told apart; of none that were not measured."""
        return ranking([each.curves for each in self.results])

    def agreement(self) -> NDArray[np.float64]:
        """Return the rank correlation of each two maps, (n, n); NaN without a map, or where one is constant."""
        maps = [None if each.map is None else each.map.sent.values for each in self.results]
        found = np.full((len(maps), len(maps)), np.nan)
        for i, one in enumerate(maps):
            for j, other in enumerate(maps[: i + 1]):
                if one is not None and other is not None:
                    found[i, j] = found[j, i] = rank_correlation(one, other)
        return found
