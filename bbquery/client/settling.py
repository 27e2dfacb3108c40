"""Settling of queries: attempts with an outcome are settled, many in one commit, and their callers notified.

A settlement alone is worth a commit where the run has nothing else to send, for it may wait for this very answer.
Where more is held that costs nothing, it waits for the next hold and shares its commit, but never long.

What cannot be recorded as it came, for a reason that nobody foresaw, is settled alone, as an answer that was paid at
its hold and cannot be read. Whatever fails, whoever waits is notified.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bbquery.client.query import Halted, Query
from bbquery.client.tasks import Tasks
from bbquery.errors import MalformedAnswer, StorageFailed, described, unforeseen
from bbquery.ledger.outcomes import settlement
from bbquery.ledger.records import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bbquery.client.halt import Halt
    from bbquery.errors import OracleError
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Reply

LONGEST_WAIT = 0.02  # seconds for which an outcome waits for others: little to whoever waits for it, and many requests


class Settling:
    """Settles outcomes. settled: called after each commit with the number of attempts it closed."""

    def __init__(self, ledger: Ledger, halt: Halt, settled: Callable[[int], None], oracle: str) -> None:
        self._ledger, self._halt, self._settled, self._oracle = ledger, halt, settled, oracle
        self._outcomes: list[tuple[Query, Reply | OracleError | Halted]] = []
        self._begins: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
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
            self._tasks.begin(self._settle())

    async def finished(self) -> None:
        """Wait until all is settled."""
        self.settle_now()
        while await self._tasks.wait():
            continue

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
        self._tasks.ended()

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
        return Settlement(query.attempt, "voided", reason=outcome.reason)
    return settlement(query, outcome)
