"""The only place where plans meet the outside: a plan's images become queries, their answers become its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from bbquery.plan import Plan, Returned, Stopped, step
from bbquery.recording import Recorded
from bbquery.scoring.base import BoundScore, answered, score_rows
from bbquery.types import NoAnswer

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.drift import DriftWatch
    from bbquery.types import Answer, Scores

T = TypeVar("T")


@dataclass
class Unanswered:
    """Queries that were asked and got no answer: how many of each kind of `NoAnswer`, and why the first one did."""

    kinds: Counter[str] = field(default_factory=Counter)
    why: str = ""

    def add(self, answers: Iterable[Answer | None]) -> None:
        """Count further answers."""
        for answer in answers:
            if isinstance(answer, NoAnswer):
                self.kinds[answer.kind] += 1
                self.why = self.why or answer.reason


@dataclass(frozen=True)
class Driven(Generic[T]):
    """A plan's result, why it was stopped early (None: it was not), and what its score could not read, how often.

    asked: how many queries it asked, those that a stop left unanswered not counted. recorded: the scores it was sent.
    unanswered: what came back without an answer.
    """

    result: T
    stopped: str | None
    unread: Counter[str]
    asked: int = 0
    recorded: Recorded = field(default_factory=Recorded)
    unanswered: Unanswered = field(default_factory=Unanswered)


async def drive(
    plan: Plan[T],
    client: Client,
    score: BoundScore,
    drift: DriftWatch | None = None,
    *,
    heard: list[list[Answer | None]] | None = None,
) -> Driven[T]:
    """Run a plan to its end, or to the client's halt; then it returns its best so far.

    The plan's own work and the scoring run on worker threads, so several drives share one client and one event loop.
    drift: checks between batches that the model stays the same. heard: takes the answers of each row, in order; a plan
    of many rows would fill the memory with them.
    """
    sent: Scores | Stopped | None = None
    unread: Counter[str] = Counter()
    asked, recorded, unanswered = 0, Recorded(), Unanswered()
    while True:
        state = await client.off_loop(step, plan, sent)
        if isinstance(state, Returned):
            reason = sent.reason if isinstance(sent, Stopped) else None
            return Driven(state.result, reason, unread, asked, recorded, unanswered)
        rows = await client.ask(state.ask)
        answers = [[None if reply is None else reply.answer for reply in row] for row in rows]
        if heard is not None:
            heard += answers
        scores, not_read = await client.off_loop(_scored, score, answers)
        unread.update(not_read)
        recorded.add(scores)
        unanswered.add(chain.from_iterable(answers))
        lost = sum(reply is None for row in rows for reply in row)
        asked += state.ask.queries - lost
        if drift is not None:
            drift.saw(reply for row in rows for reply in row)
            await drift.after(client)
        sent = Stopped(client.halt.reason, scores) if lost else scores


def _scored(score: BoundScore, rows: Sequence[Sequence[Answer | None]]) -> tuple[Scores, Counter[str]]:
    """Return the scores of rows of answers, and what could not be read in them."""
    return score_rows(score, rows), score.unread(answered(chain.from_iterable(rows)))
