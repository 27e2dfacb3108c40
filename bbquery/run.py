"""The only place where plans meet the outside: a plan's images become queries, their answers become its scores."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from bbquery.errors import UsageError
from bbquery.plan import Plan, Stopped, Yielded, step
from bbquery.recording import Recorded
from bbquery.scoring.base import BoundScore, answered, score_rows
from bbquery.types import NoAnswer

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.drift import DriftWatch
    from bbquery.plan import Ask
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
    (driven,) = await drive_shared([plan], client, [score], drift, heard=heard)
    return driven


async def drive_shared(
    plans: Sequence[Plan[T]],
    client: Client,
    scores: Sequence[BoundScore],
    drift: DriftWatch | None = None,
    *,
    heard: list[list[Answer | None]] | None = None,
) -> list[Driven[T]]:
    """Run plans that ask the same whatever is answered: each question is asked once, and scored for each plan.

    plans: equal but for what they are sent, one at least. scores: of each. drift, heard: as of `drive`.

    Raises:
        UsageError: the plans do not ask alike, so their method adapts to answers and says that it does not.
    """
    runs = [_Run(plan, score) for plan, score in zip(plans, scores, strict=True)]
    while True:
        asks = await asyncio.gather(*(client.off_loop(run.step) for run in runs))
        if len({None if ask is None else ask.repeats for ask in asks}) > 1:
            raise UsageError("the method asks by answers, and says that it does not: several targets cannot share it")
        if asks[0] is None:
            return [run.driven for run in runs]
        rows = await client.ask(asks[0])
        answers = [[None if reply is None else reply.answer for reply in row] for row in rows]
        if heard is not None:
            heard += answers
        lost = sum(reply is None for row in rows for reply in row)
        stopped = client.halt.reason if lost else None
        await asyncio.gather(*(client.off_loop(run.take, answers, asks[0].queries - lost, stopped) for run in runs))
        if drift is not None:
            drift.saw(reply for row in rows for reply in row)
            await drift.after(client)


class _Run(Generic[T]):
    """A plan at work: what it is sent next, and what is kept of that. driven: once it has returned."""

    driven: Driven[T]

    def __init__(self, plan: Plan[T], score: BoundScore) -> None:
        self._plan, self._score = plan, score
        self._sent: Scores | Stopped | None = None
        self._unread: Counter[str] = Counter()
        self._asked, self._recorded, self._unanswered = 0, Recorded(), Unanswered()

    def step(self) -> Ask | None:
        """Run the plan to its next question; None where it has returned."""
        state = step(self._plan, self._sent)
        if isinstance(state, Yielded):
            return state.ask
        reason = self._sent.reason if isinstance(self._sent, Stopped) else None
        self.driven = Driven(state.result, reason, self._unread, self._asked, self._recorded, self._unanswered)
        return None

    def take(self, rows: Sequence[Sequence[Answer | None]], asked: int, stopped: str | None) -> None:
        """Score the answers of each row, to be sent. asked: how many were. stopped: why no more will be; or None."""
        scores = score_rows(self._score, rows)
        self._unread.update(self._score.unread(answered(chain.from_iterable(rows))))
        self._recorded.add(scores)
        self._unanswered.add(chain.from_iterable(rows))
        self._asked += asked
        self._sent = scores if stopped is None else Stopped(stopped, scores)
