"""Sending batches that are held: an attempt, a lesson for pace and concurrency, and a settlement for each query.

A batch may wait for its slot for longer than a lease while the ledger is out of reach. Others may call its attempts
unknown then, and ask the same: it is not sent, its hold is voided, and its queries are held anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from bbquery.client.attempt import Attempts
from bbquery.client.query import Halted, Lapsed
from bbquery.errors import OracleError, RateLimited, UsageError, unforeseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.client.halt import Halt
    from bbquery.client.provider import Provider
    from bbquery.client.query import Query
    from bbquery.client.queue import RequestBatch, RequestQueue
    from bbquery.client.settling import Settling
    from bbquery.client.tasks import Tasks
    from bbquery.client.waiting import Waits
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Reply


class Sender:
    """Sends held batches, each in a slot of the provider's. sent: attempts, each retry again."""

    def __init__(
        self,
        oracle: Oracle,
        ledger: Ledger,
        provider: Provider,
        queue: RequestQueue,
        *,
        settling: Settling,
        tasks: Tasks,
        halt: Halt,
        waits: Waits,
    ) -> None:
        self._oracle, self._name, self._provider = oracle, oracle.capabilities.name, provider
        self._queue, self._settling, self._tasks, self._halt, self._waits = queue, settling, tasks, halt, waits
        self._ledger, self._attempts = ledger, Attempts(oracle, halt)
        self.sent = 0

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._attempts.abandon()

    def close(self) -> None:
        """Stop the timer of attempts."""
        self._attempts.close()

    def send_what_may(self) -> None:
        """Send every held batch that has a slot, and what nothing paces while there are free ones."""
        while self._queue.may_send and (self._queue.held[0].has_slot or self._provider.pace.is_free):
            self.send_next()

    def send_next(self) -> None:
        """Send the next held batch, in its slot or a new one, unless all have lapsed."""
        if not self._has_held():
            return
        batch = self._next()
        if not batch.has_slot:
            self._provider.start()
        self._tasks.begin(self._send(batch))

    def void_what_is_held(self) -> None:
        """Give up what was held and never sent."""
        while self._queue.held:
            batch = self._queue.held.popleft()
            self._queue.drop(batch)
            self._settling.add([(query, Halted()) for query in batch.queries])

    def _has_held(self) -> bool:
        """Whether a batch is held; those at the head that have lapsed are voided, and their queries queued again."""
        while self._queue.held and not self._ledger.holds(self._queue.held[0].epoch):
            batch = self._queue.held.popleft()
            self._queue.drop(batch)
            self._settling.add([(self._queued_again(query), Lapsed()) for query in batch.queries])
        return bool(self._queue.held)

    def _queued_again(self, query: Query) -> Query:
        """Return the attempt at a query by itself: at its end the query is queued again."""
        return replace(query, ended=lambda _, __: self._queue.add(query))

    def _next(self) -> RequestBatch:
        batch = self._queue.next_to_send()
        self.sent += len(batch.queries)
        return batch

    async def _send(self, batch: RequestBatch) -> None:
        """Send a batch, and in its slot, as long as nobody else wants it, those that are held ahead."""
        request = cast("asyncio.Task[Any]", asyncio.current_task())
        await self._ask(batch, request)
        while self._has_held() and not self._halt and self._provider.pace.is_free and self._provider.goes_on():
            following = self._next()
            if self._queue.runs_low:
                self._queue.changed.set()
            await self._ask(following, request)
        self._provider.end()
        self._tasks.ended()

    async def _ask(self, batch: RequestBatch, request: asyncio.Task[Any]) -> None:
        """Make one attempt, take a lesson from how it ended, and settle its queries: what was paid for at once."""
        lost = OracleError("failed unexpectedly, and what came of it is not known", oracle=self._name)
        results: list[Reply | OracleError] = [lost] * len(batch.queries)
        try:
            results = await self._attempts.make(batch.queries, request)
            failures = [result for result in results if isinstance(result, OracleError)]
            self.sent -= sum(isinstance(failure.__cause__, UsageError) for failure in failures)  # nothing left
            self._provider.learn(failures, self._oracle.rate_seen)
            self._heed(failures, answered=len(failures) < len(results))
            await self._provider.pace.hear()
        except Exception as error:  # noqa: BLE001 - whatever it is, each query has an outcome
            self._halt.set(unforeseen(error, self._name))
        soon = batch.has_slot or not self._queue.unsent
        self._settling.add(zip(batch.queries, results, strict=True), soon=soon)

    def _heed(self, failures: Sequence[OracleError], *, answered: bool) -> None:
        """Note whether the oracle asks to be left alone, and for how long."""
        if answered:
            self._waits.answered()
        asks_to_wait = (f for f in failures if isinstance(f, RateLimited) or f.retry_after is not None)
        if (refusal := next(asks_to_wait, None)) is not None:
            self._waits.refused(str(refusal).removeprefix(f"{refusal.oracle}: "), self._provider.pace.paused)
