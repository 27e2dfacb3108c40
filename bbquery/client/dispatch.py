"""The inner half of the client: it forms batches, paces them, holds their budget, sends and settles.

    enqueue -> RequestQueue -> [Dispatcher: pace, slot] -> Reservations -> Sender -> Settling -> query.ended

Theory of operation.

1. One task, the dispatcher, decides what is sent next, by the rules of the queue (`bbquery.client.queue`); slots and
   pace are shared with every other run that asks the same provider.
2. Order of an attempt: pace, slot, reserve (committed), send, settle (committed), deliver. Pace and slot come before
   the hold, so that a killed process leaves holds only for what it may really have sent.
3. Where a query costs no money and nothing paces it, batches are held ahead of their slots. Then one request follows
   another without a commit between, and commits are fewer and larger. A killed process strands up to so many batches
   of its cap more, and not a cent. What is held and unsent when the run halts is voided.
4. Whoever waits for an answer may go away; an attempt in flight is settled and stored all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bbquery.client.provider import provider_of
from bbquery.client.query import Halted
from bbquery.client.queue import RequestQueue
from bbquery.client.reservation import Reservations
from bbquery.client.sending import Sender
from bbquery.client.settling import Settling
from bbquery.client.tasks import Tasks
from bbquery.errors import unforeseen

if TYPE_CHECKING:
    from bbquery.client.halt import Halt
    from bbquery.client.query import Query
    from bbquery.client.queue import RequestBatch
    from bbquery.client.waiting import Waits
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.system.clock import Clock


class Dispatcher:
    """Sends queries in batches within one budget."""

    def __init__(
        self,
        oracle: Oracle,
        ledger: Ledger,
        budget: int,
        halt: Halt,
        clock: Clock,
        *,
        waits: Waits,
    ) -> None:
        capabilities = oracle.capabilities
        self._name, self._ledger, self._halt, self._waits = capabilities.name, ledger, halt, waits
        self.provider = provider_of(capabilities, clock)
        self._tasks = tasks = Tasks()
        self._queue = queue = RequestQueue(self.provider, capabilities.limits.largest_batch)
        self._settling = settling = Settling(ledger, halt, self._settled, capabilities.name)
        self._sender = Sender(
            oracle, ledger, self.provider, queue, settling=settling, tasks=tasks, halt=halt, waits=waits
        )
        self._reservations = Reservations(
            ledger,
            budget,
            capabilities,
            queue,
            settling=settling,
            tasks=tasks,
            halt=halt,
            clock=clock,
            granted=self._sender.send_what_may,
        )
        self._wake = self._queue.changed.set
        self._task: asyncio.Task[None] | None = None

    @property
    def sent(self) -> int:
        """Attempts that left so far, each retry again."""
        return self._sender.sent

    @property
    def stored_by_others(self) -> int:
        """Queries that another process answered and stored meanwhile."""
        return self._reservations.stored_by_others

    @property
    def waits_to_send(self) -> bool:
        """Whether a query is queued, or waits for its turn, which all runs of this provider share."""
        return bool(self._queue.waiting or self._queue.held) or self.provider.pace.is_awaited

    def preparing(self, change: int) -> None:
        """Expect this many more (or fewer) queries: a batch waits for them to fill it."""
        self._queue.preparing(change)

    def enqueue(self, query: Query) -> None:
        """Queue one attempt; `query.ended` is called at its end."""
        if self._task is None:
            self._task = asyncio.create_task(self._dispatch(), name="bbquery-dispatcher")
            self.provider.waiting.append(self._wake)
            self.provider.join(self._ledger)
        self._queue.add(query)

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._sender.abandon()

    async def aclose(self) -> None:
        """Wait for what is in flight, then stop. Cancelling this abandons what is in flight."""
        try:
            await self._land()
        except asyncio.CancelledError:
            self.abandon()
            await self._land()
            raise
        finally:
            if self._wake in self.provider.waiting:
                self.provider.waiting.remove(self._wake)
                self.provider.leave(self._ledger)
            self._sender.close()
            tasks = [task for task in (self._task, *self._reservations.followers) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _land(self) -> None:
        self._sender.void_what_is_held()
        while await self._tasks.wait():
            self._sender.void_what_is_held()
        await self._settling.finished()

    async def _dispatch(self) -> None:
        self._halt.add_listener(self._wake)
        try:
            while True:
                try:
                    await self._start()
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
                    self._halt.set(unforeseen(error, self._name))
        finally:
            self._halt.remove_listener(self._wake)

    async def _start(self) -> None:
        """Wait until something may start, and start it; once the run is halted, give up what waits."""
        while not self._may_start():
            self._queue.changed.clear()
            await self._queue.changed.wait()
        if self._halt:
            self._give_up()
        elif self.provider.pace.is_free:
            self._start_what_may()
        else:
            await self._start_in_turn()

    def _may_start(self) -> bool:
        if self._halt:
            return bool(self._queue.waiting or self._queue.held)
        return self._queue.may_send or self._queue.may_hold

    def _start_what_may(self) -> None:
        """Start all that nothing holds up, at once: most queries of a fast run go this way."""
        self._sender.send_what_may()
        while self._queue.is_whole:
            ahead = self._queue.may_hold_ahead
            if not self._queue.has_room(ahead=ahead):
                return
            self._reservations.hold(self._queue.take(has_slot=not ahead))

    async def _start_in_turn(self) -> None:
        """Start the next batch when its turn has come; one that was held before goes first."""
        if self._queue.may_send:
            batch = self._queue.held[0]  # it stays there meanwhile, for whoever gives it up
            await self._turn(batch)
            if not self._halt and self._queue.held and self._queue.held[0] is batch:
                self._sender.send_next()
            return
        batch = self._queue.take(has_slot=False)
        may_go = False
        try:
            await self._turn(batch)
            may_go = not self._halt
        finally:
            if not may_go:
                self._queue.put_back(batch.queries)
        if may_go:
            batch.has_slot = True
            self.provider.start()
            self._reservations.hold(batch)

    async def _turn(self, batch: RequestBatch) -> None:
        await self._halt.unless_set(self._may_go(batch))

    async def _may_go(self, batch: RequestBatch) -> None:
        pace = self.provider.pace
        await pace.hear()
        if pace.paused:
            self._waits.waits(pace.paused)
        tokens = sum(query.hold.tokens for query in batch.queries)
        await pace.turn(len(batch.queries), tokens, lambda: self._queue.following)

    def _give_up(self) -> None:
        while self._queue.waiting:
            self._queue.waiting.popleft().end(None, Halted())
        self._sender.void_what_is_held()

    def _settled(self, attempts: int) -> None:
        self._reservations.settled(attempts)
