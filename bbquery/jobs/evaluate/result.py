"""Result of an evaluation: figures of a map, and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.presented import Presented, brief, ending, in_a_line

if TYPE_CHECKING:
    from collections import Counter

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import QueryCounts
    from bbquery.errors import BbqueryError
    from bbquery.jobs.evaluate.choice import Choice
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.metrics import Measurement
    from bbquery.metrics.srg import Curves
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Image


@dataclass(frozen=True, eq=False)
class Evaluation(Presented):
    """What a map is worth, and all that is needed to repeat and audit it.

    x: the photo's pixels as they are sent unperturbed. measurements: each number with its fill and steps. curves: of
    deletion and insertion; None where they were not chosen. score: how answers became numbers, bound: to the target;
    where lower values are nearer to it, measurements are of their negative. unread: what could not be read in the
    answers. error: what ended the run early, None where nothing did. partial: whether measurements rest on fewer
    answers than planned. warnings: what must be known before the numbers are believed, each with what to do (in options
    of the command line). unknown: attempts that may have been billed without an answer. seconds: by stage. rest: what
    completing it takes. source, of: where photo and map are from, in words.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    oracle: Capabilities
    target: str
    score: Score
    bound: BoundScore
    choice: Choice
    seed: int
    measurements: tuple[Measurement, ...]
    curves: Curves | None
    unread: Counter[str]
    partial: bool
    warnings: tuple[str, ...]
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]
    rest: Rest
    source: str = ""
    call: str = ""
    of: str = ""

    def __repr__(self) -> str:
        """Return what the map came to, in a line."""
        figures = [f"{each.metric} {each.value:.3g}" for each in self.measurements[:3]]
        more = [f"{len(self.measurements) - 3} more figures"] if len(self.measurements) > 3 else []
        ended = ending(self.error, partial=self.partial)
        return in_a_line(
            "Evaluation", repr(brief(self.target)), *figures, *more, f"{self.queries.answered:,} queries", ended
        )
