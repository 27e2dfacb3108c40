"""Holding the budget of batches: many in one commit, before any of them is sent.

1. What a turn of the loop brings together is held together, and shares its commit with what waits to be settled.
2. A query may turn out to be answered, or to be asked by another process; that process's attempt is waited for.
3. A refusal for want of budget is final only when nothing of ours is in flight: a hold in flight may yet be released.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bbquery.errors import BudgetExhausted, UsageError, unforeseen
from bbquery.ledger.owners import batch_of
from bbquery.ledger.records import Answered, Busy, Granted, HoldRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bbquery.client.halt import Halt
    from bbquery.client.query import Query
    from bbquery.client.queue import RequestBatch, RequestQueue
    from bbquery.client.settling import Settling
    from bbquery.client.tasks import Tasks
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import Result
    from bbquery.oracle import Capabilities
    from bbquery.system.clock import Clock

IN_A_BATCH = "batch {} holds a question of this run: collect it first, with the command that submitted it (--batch)"


class Reservations:
    """Holds batches within one budget.

    granted: called after each commit that held something. stored_by_others: queries that another process answered and
    stored meanwhile.
    """

    def __init__(
        self,
        ledger: Ledger,
        budget: int,
        capabilities: Capabilities,
        queue: RequestQueue,
        *,
        settling: Settling,
        tasks: Tasks,
        halt: Halt,
        clock: Clock,
        granted: Callable[[], None],
    ) -> None:
        self._ledger, self._budget, self._capabilities = ledger, budget, capabilities
        self._queue, self._settling, self._tasks = queue, settling, tasks
        self._halt, self._clock, self._after_grant = halt, clock, granted
        self._open = 0  # attempts that are held and not settled
        self._followers: set[asyncio.Task[None]] = set()
        self.stored_by_others = 0

    def hold(self, batch: RequestBatch) -> None:
        """Hold a batch in the next commit."""
        if self._queue.hold(batch):
            self._tasks.begin(self._hold())

    def settled(self, attempts: int) -> None:
        """Count attempts that were settled: what they held and did not cost may be granted again."""
        self._open -= attempts
        self._queue.short_of_budget = False
        self._queue.changed.set()

    @property
    def followers(self) -> tuple[asyncio.Task[None], ...]:
        """The tasks that wait for attempts of other processes."""
        return tuple(self._followers)

    async def _hold(self) -> None:
        batches = self._queue.to_hold()
        queries = [query for batch in batches for query in batch.queries]
        try:
            self._settling.settle_now()  # in the same commit
            free = self._capabilities.price.free
            for batch in batches:
                batch.epoch = self._ledger.epoch
            results = await self._ledger.reserve([HoldRequest(q.question, self._budget, q.hold, free) for q in queries])
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            for batch in batches:
                self._queue.drop(batch)
            for query in queries:
                query.end(None, unforeseen(error, self._capabilities.name))
        else:
            self._held(batches, iter(results))
        self._tasks.ended()

    def _held(self, batches: Sequence[RequestBatch], results: Iterator[Result]) -> None:
        """Put what was granted in line to be sent."""
        refused: list[tuple[Query, BudgetExhausted]] = []
        for batch in batches:
            batch.queries = self._granted(zip(batch.queries, results, strict=False), refused)
            if batch.queries:
                self._queue.granted(batch)
            else:
                self._queue.drop(batch)
        self._refuse(refused)
        if not self._halt:
            self._after_grant()
        self._queue.changed.set()

    def _granted(
        self, results: Iterable[tuple[Query, Result]], refused: list[tuple[Query, BudgetExhausted]]
    ) -> list[Query]:
        """Return the queries that were granted; the others are answered, waiting for another, or added to `refused`."""
        granted: list[Query] = []
        for query, result in results:
            match result:
                case Granted(attempt):
                    query.attempt = attempt
                    granted.append(query)
                case Answered(reply):
                    self.stored_by_others += not query.known
                    query.end(reply, None)
                case Busy(owner) if batch_of(owner) is not None:
                    query.end(None, UsageError(IN_A_BATCH.format(batch_of(owner))))
                case Busy():
                    self._follow(query)
                case BudgetExhausted():
                    refused.append((query, result))
        self._open += len(granted)
        return granted

    def _refuse(self, refused: Sequence[tuple[Query, BudgetExhausted]]) -> None:
        if refused and self._open:
            self._queue.short_of_budget = True
            self._queue.put_back([query for query, _ in refused])
            return
        for query, error in refused:
            query.end(None, error)

    def _follow(self, query: Query) -> None:
        follower = asyncio.create_task(self._follow_another(query))
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def _follow_another(self, query: Query) -> None:
        """Wait for another process's attempt at the same question to end, then ask the ledger again."""
        try:
            while not self._halt and await asyncio.to_thread(self._ledger.in_flight, query.question.key):
                await self._halt.sleep(self._ledger.seconds_between_looks, self._clock)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            query.end(None, unforeseen(error, self._capabilities.name))
            return
        self._queue.add(query)
