"""Result of a probe, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.presented import Presented, brief, ending, in_a_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import QueryCounts
    from bbquery.errors import BbqueryError
    from bbquery.jobs.probe.advice import Advice
    from bbquery.jobs.probe.answers import AnswerFigures, Answers, CleanFigures
    from bbquery.jobs.probe.statistics import ScoreFigures
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Capabilities
    from bbquery.types import Image


@dataclass(frozen=True, eq=False)
class Probe(Presented):
    """What a probe found, and what it rests on.

    x: the photo's pixels as they are sent unperturbed. scores: the figures of each score, one for each target, by the
    specification that makes it. unsuited: why other scores were left out. error: what ended the run early (a budget,
    the oracle, a person), None where nothing did. unknown: attempts of this run's budget that may have been billed
    without an answer. seconds: by stage. rest: what completing it takes. source: where the photo is from, in words.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    oracle: Capabilities
    seed: int
    answers: Answers
    clean: CleanFigures
    came: tuple[AnswerFigures, ...]
    scores: Mapping[str, tuple[ScoreFigures, ...]]
    unsuited: Mapping[str, str]
    advice: Advice
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]
    rest: Rest
    source: str = ""
    call: str = ""

    def __repr__(self) -> str:
        """Return what it recommends, in a line."""
        advice = self.advice
        how = f"{brief(advice.method)} with {brief(advice.score)} and {advice.queries:,} queries"
        advised = how if advice.queries else "do not spend more"
        return in_a_line("Probe", brief(self.oracle.name), advised, ending(self.error, partial=self.partial))

    @property
    def partial(self) -> bool:
        """Whether it rests on fewer answers than planned."""
        return any(answer is None for row in (self.answers.clean, *self.answers.rows) for answer in row)

    @property
    def chosen(self) -> tuple[ScoreFigures, ...]:
        """The figures of the score that is recommended."""
        return self.scores[self.advice.score]
