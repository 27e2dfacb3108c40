"""How queries end: attempts with an outcome are settled, many in one commit, and those who wait are told.

A settlement alone is worth a commit where the run has nothing else to send, for it may wait for this very answer.
Where more is held that costs nothing, it waits for the next hold and shares its commit, but never long.

What cannot be recorded as it came, for a reason that nobody foresaw, is settled alone, as an answer that was paid at
its hold and cannot be read. Whatever fails, whoever waits is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bbquery.errors import MalformedAnswer, StorageFailed, described, unforeseen
from bbquery.ledger.outcomes import settlement
from bbquery.ledger.records import Settlement

if TYPE_CHECKING:
    from bbquery.client.halt import Halt
    from bbquery.errors import OracleError
    from bbquery.ledger.sqlite import Ledger
    from bbquery.ledger.store import Question
    from bbquery.types import Reply
    from bbquery.units import Units

LONGEST_WAIT = 0.02  # seconds for which an outcome waits for others: little to whoever waits for it, and many requests


class Halted(Exception):
    """Not sent, because the run may send no more."""


Ended = Callable[["Reply | None", "Exception | None"], None]
"""Called once, with a query's reply or with how it failed: OracleError, BudgetExhausted, StorageFailed or Halted."""


@dataclass(eq=False, slots=True)
class Query:
    """One question on its way: what travels, what it may cost, and who is told of its end.

    attempt: its number, once it is held.
    """

    question: Question
    payload: Any
    hold: Units
    ended: Ended
    attempt: int = 0

    def end(self, reply: Reply | None, error: Exception | None) -> None:
        """Tell of its end, once: a later one changes nothing."""
        ended, self.ended = self.ended, _told_already
        ended(reply, error)


def _told_already(reply: Reply | None, error: Exception | None) -> None:
    """Hear of a second end."""


class Settler:
    """Settles outcomes. settled: told after each commit how many attempts it closed."""

    def __init__(self, ledger: Ledger, halt: Halt, settled: Callable[[int], None], oracle: str) -> None:
        self._ledger, self._halt, self._settled, self._oracle = ledger, halt, settled, oracle
        self._outcomes: list[tuple[Query, Reply | OracleError | Halted]] = []
        self._begins: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = False

    def add(self, outcomes: Iterable[tuple[Query, Reply | OracleError | Halted]], *, soon: bool = True) -> None:
        """Settle these; soon: in the next commit, not later with others."""
        self._outcomes.extend(outcomes)
        if soon:
            self.settle_now()
        elif self._begins is None:
            self._begins = asyncio.get_running_loop().call_later(LONGEST_WAIT, self.settle_now)

    def settle_now(self) -> None:
        """Settle what waits for others."""
        if self._begins is not None:
            self._begins.cancel()
            self._begins = None
        if self._outcomes and not self._begun:  # what a loop's turn brings together is settled together
            self._begun = True
            self._tasks.add(asyncio.create_task(self._settle()))

    async def finished(self) -> None:
        """Wait until all is settled."""
        self.settle_now()
        while self._tasks:
            ended, _ = await asyncio.wait(self._tasks)
            self._tasks -= ended  # what failed could not say so itself

    async def _settle(self) -> None:
        outcomes, self._outcomes, self._begun = self._outcomes, [], False
        try:
            outcomes = await self._recorded(outcomes)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._halt.set(unforeseen(error, self._oracle))  # what was answered still reaches the plan
        self._settled(len(outcomes))
        for query, outcome in outcomes:
            try:
                query.end(*(None, outcome) if isinstance(outcome, Exception) else (outcome, None))
            except Exception as error:  # noqa: BLE001 - as above
                self._halt.set(unforeseen(error, self._oracle))
        self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _recorded(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Settle outcomes in one commit, or, where one cannot be recorded, each alone; return what came of each."""
        try:
            await self._ledger.settle([_settlement(query, outcome) for query, outcome in outcomes])
        except StorageFailed:
            raise
        except Exception:  # noqa: BLE001 - whose fault it was is found by taking them one by one
            return [(query, await self._recorded_alone(query, outcome)) for query, outcome in outcomes]
        return outcomes

    async def _recorded_alone(self, query: Query, outcome: Reply | OracleError | Halted) -> Any:
        try:
            await self._ledger.settle([_settlement(query, outcome)])
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            lost = MalformedAnswer(f"an answer that cannot be recorded: {described(error)}", oracle=self._oracle)
            await self._ledger.settle([settlement(query, lost)])
            return lost
        return outcome


Outcome = tuple[Query, "Reply | OracleError | Halted"]


def _settlement(query: Query, outcome: Reply | OracleError | Halted) -> Settlement:
    if isinstance(outcome, Halted):
        return Settlement(query.attempt, "voided", reason="the run was halted before it was sent")
    return settlement(query, outcome)
