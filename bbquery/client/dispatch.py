"""The inner half of the client: it forms batches, paces them, holds their budget, sends and settles.

Theory of operation.

1. One task, the dispatcher, decides what is sent next. A batch goes out when it is as large as the oracle takes, or
   when nothing more is being prepared; a slot must be free and the pace must allow it, both of which are shared with
   every other run that asks the same provider.
2. Order of an attempt: pace, slot, reserve (committed), send, settle (committed), deliver. Pace and slot come before
   the hold, so that a killed process leaves holds only for what it may really have sent.
3. Where a query costs no money and nothing paces it, up to twice as many batches as there are slots are held ahead.
   Then one request follows another without a commit between, and commits are fewer and larger. A killed process
   strands up to so many batches of its cap more, and not a cent. What is held and unsent when the run halts is voided.
4. A refusal for want of budget is final only when nothing of ours is in flight: a hold in flight may yet be released.
5. Whoever waits for an answer may go away; an attempt in flight is settled and stored all the same.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bbquery.client.attempt import Asker
from bbquery.client.provider import provider_of
from bbquery.client.settling import Halted, Query, Settler
from bbquery.errors import BudgetExhausted, OracleError, RateLimited, UsageError, unforeseen
from bbquery.ledger.owners import batch_of
from bbquery.ledger.records import Answered, Busy, Granted, Request

if TYPE_CHECKING:
    from bbquery.client.halt import Halt
    from bbquery.client.waiting import Waits
    from bbquery.ledger.records import Result
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.system.clock import Clock
    from bbquery.types import Reply

AHEAD = 2  # batches held ahead for each slot: those that leave while the next are being held, and as many again
SECONDS_BETWEEN_LOOKS = 0.05  # at an attempt that another process has in flight
IN_A_BATCH = "batch {} holds a question of this run: collect it first, with the command that submitted it (--batch)"


@dataclass(eq=False, slots=True)
class Batch:
    """What travels in one request. has_slot: it has had its turn and its slot before its hold; else it is free."""

    queries: list[Query]
    has_slot: bool


class Dispatcher:
    """Sends queries in batches within one budget.

    sent: attempts, each retry again. stored_by_others: queries that another process answered and stored meanwhile.
    """

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
        self._oracle, self._ledger, self._budget, self._halt, self._clock = oracle, ledger, budget, halt, clock
        self._capabilities, self._waits = oracle.capabilities, waits
        self._limits = self._capabilities.limits
        self.provider = provider_of(self._capabilities, clock)
        self._waiting: deque[Query] = deque()
        self._preparing = 0
        self._open = 0
        self._short_of_budget = False
        self._starting: list[Batch] = []
        self._ready: deque[Batch] = deque()
        self._unsent = 0  # batches that are being held or ready
        self._settler = Settler(ledger, halt, self._settled, self._capabilities.name)
        self._requests: set[asyncio.Task[Any]] = set()
        self._asker = Asker(oracle, halt)
        self._followers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._wake = self._changed.set
        self._task: asyncio.Task[None] | None = None
        self.sent = self.stored_by_others = 0

    def preparing(self, change: int) -> None:
        """Say that this many more (or fewer) queries are about to come: a batch waits for them to fill it."""
        self._preparing += change
        self._changed.set()

    def enqueue(self, query: Query) -> None:
        """Queue one attempt; `query.ended` is told how it ended."""
        if self._task is None:
            self._task = asyncio.create_task(self._dispatch(), name="bbquery-dispatcher")
            self.provider.waiting.append(self._wake)
        self._waiting.append(query)
        self._changed.set()

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._asker.abandon()

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
            self._asker.close()
            tasks = [task for task in (self._task, *self._followers) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _land(self) -> None:
        self._void_what_is_ready()
        while self._requests:
            ended, _ = await asyncio.wait(self._requests)
            self._requests -= ended  # what failed could not say so itself
            self._void_what_is_ready()
        await self._settler.finished()

    async def _dispatch(self) -> None:
        self._halt.tell(self._wake)
        try:
            while True:
                try:
                    await self._start()
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
                    self._failed(error)
        finally:
            self._halt.forget(self._wake)

    def _failed(self, error: Exception) -> None:
        """Halt because of what nobody foresaw."""
        self._halt.set(unforeseen(error, self._capabilities.name))

    async def _start(self) -> None:
        """Wait until something may start, and start it; once the run is halted, give up what waits."""
        await self._until(lambda: bool(self._halt) or self._may_go() or self._can_hold())
        if self._halt:
            self._give_up()
        elif self.provider.pace.is_free:
            self._start_what_may()
        else:
            await self._start_in_turn()

    def _start_what_may(self) -> None:
        """Start all that nothing holds up, at once: most queries of a fast run go this way."""
        self._send_what_may()
        while self._is_whole():
            ahead = self._may_hold_ahead()
            if not self._has_room(ahead=ahead):
                return
            self._hold_soon(self._taken(has_slot=not ahead))

    async def _start_in_turn(self) -> None:
        """Start the next batch when its turn has come; one that was held before goes first."""
        if self._may_go():
            batch = self._ready[0]  # it stays there meanwhile, for whoever gives it up
            await self._turn(batch)
            if not self._halt and self._ready and self._ready[0] is batch:
                self._send_next()
            return
        batch = self._taken(has_slot=False)
        may_go = False
        try:
            await self._turn(batch)
            may_go = not self._halt
        finally:
            if not may_go:
                self._waiting.extendleft(reversed(batch.queries))
        if may_go:
            batch.has_slot = True
            self.provider.start()
            self._hold_soon(batch)

    async def _turn(self, batch: Batch) -> None:
        if paused := self.provider.pace.paused:
            self._waits.waits(paused)
        tokens = sum(query.hold.tokens for query in batch.queries)
        await self._halt.unless_set(self.provider.pace.turn(len(batch.queries), tokens))

    def _send_what_may(self) -> None:
        while self._may_go() and (self._ready[0].has_slot or self.provider.pace.is_free):
            self._send_next()

    def _may_go(self) -> bool:
        return bool(self._ready) and (self._ready[0].has_slot or self.provider.has_a_slot)

    def _can_hold(self) -> bool:
        return self._is_whole() and self._has_room(ahead=self._may_hold_ahead())

    def _is_whole(self) -> bool:
        """Whether a batch may be taken: nothing more comes that would make it larger."""
        if not self._waiting or self._short_of_budget:
            return False
        return self._preparing == 0 or len(self._waiting) >= self._limits.largest_batch

    def _has_room(self, *, ahead: bool) -> bool:
        """Whether one more batch may be held: there is a slot for it, or it is held ahead, then many together."""
        if not ahead:
            return self.provider.has_a_slot
        most = AHEAD * self.provider.slots
        return self._unsent < most and (self._unsent <= most // 2 or bool(self._starting))

    def _may_hold_ahead(self) -> bool:
        if not self.provider.pace.is_free:
            return False
        following = itertools.islice(self._waiting, self._limits.largest_batch)
        return not any(query.hold.picodollars for query in following)

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready() or (self._halt and not self._waiting and not self._ready):
            self._changed.clear()
            await self._changed.wait()

    def _give_up(self) -> None:
        while self._waiting:
            self._waiting.popleft().end(None, Halted())
        self._void_what_is_ready()

    def _void_what_is_ready(self) -> None:
        """Give up what was held and never sent."""
        while self._ready:
            batch = self._ready.popleft()
            self._drop(batch)
            self._settler.add([(query, Halted()) for query in batch.queries])

    def _taken(self, *, has_slot: bool) -> Batch:
        if has_slot:
            self.provider.start()
        queries = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limits.largest_batch))]
        return Batch(queries, has_slot)

    def _hold_soon(self, batch: Batch) -> None:
        self._unsent += 1
        self._starting.append(batch)
        if len(self._starting) == 1:  # what a loop's turn brings together is held together
            self._begin(self._hold())

    def _drop(self, batch: Batch) -> None:
        """Forget a batch of which nothing will be sent."""
        self._unsent -= 1
        if batch.has_slot:
            self.provider.end()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._requests.add(asyncio.create_task(work))

    def _ended(self, work: asyncio.Task[Any] | None) -> None:
        self._requests.discard(work)  # by itself: a callback of the task would take a turn of the loop

    async def _hold(self) -> None:
        """Reserve all batches that are starting, and send what was granted."""
        batches, self._starting = self._starting, []
        queries = [query for batch in batches for query in batch.queries]
        try:
            self._settler.settle_now()  # in the same commit
            free = self._capabilities.price.free
            results = await self._ledger.reserve([Request(q.question, self._budget, q.hold, free) for q in queries])
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            for batch in batches:
                self._drop(batch)
            for query in queries:
                query.end(None, unforeseen(error, self._capabilities.name))
        else:
            self._held(batches, iter(results))
        self._ended(asyncio.current_task())

    def _held(self, batches: Sequence[Batch], results: Iterator[Result]) -> None:
        """Send what was granted."""
        refused: list[tuple[Query, BudgetExhausted]] = []
        for batch in batches:
            batch.queries = self._granted(zip(batch.queries, results, strict=False), refused)
            if not batch.queries:
                self._drop(batch)
            elif batch.has_slot:  # before those that wait for the slot it has
                self._ready.appendleft(batch)
            else:
                self._ready.append(batch)
        self._refuse(refused)
        if not self._halt:
            self._send_what_may()
        self._changed.set()

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
                    self.stored_by_others += 1
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
            self._short_of_budget = True
            self._waiting.extendleft(query for query, _ in reversed(refused))
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
                await self._halt.sleep(SECONDS_BETWEEN_LOOKS, self._clock)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            query.end(None, unforeseen(error, self._capabilities.name))
            return
        self._waiting.append(query)
        self._changed.set()

    def _send_next(self) -> None:
        batch = self._next()
        if not batch.has_slot:
            self.provider.start()
        self._begin(self._send(batch))

    def _next(self) -> Batch:
        batch = self._ready.popleft()
        self._unsent -= 1
        self.sent += len(batch.queries)
        return batch

    async def _send(self, batch: Batch) -> None:
        """Send a batch, and in its slot, as long as nobody else wants it, those that are held ahead."""
        request = cast("asyncio.Task[Any]", asyncio.current_task())
        await self._ask(batch, request)
        while self._ready and not self._halt and self.provider.pace.is_free and self.provider.goes_on():
            following = self._next()
            if self._unsent <= AHEAD * self.provider.slots // 2:
                self._changed.set()
            await self._ask(following, request)
        self.provider.end()
        self._ended(request)

    async def _ask(self, batch: Batch, request: asyncio.Task[Any]) -> None:
        """Make one attempt, take a lesson from how it ended, and settle its queries: what was paid for at once."""
        lost = OracleError("failed unexpectedly, and what came of it is not known", oracle=self._capabilities.name)
        results: list[Reply | OracleError] = [lost] * len(batch.queries)
        try:
            results = await self._asker.ask(batch.queries, request)
            failures = [result for result in results if isinstance(result, OracleError)]
            self.sent -= sum(isinstance(failure.__cause__, UsageError) for failure in failures)  # nothing left
            self.provider.learn(failures, self._oracle.rate_seen)
            self._heed(failures, answered=len(failures) < len(results))
        except Exception as error:  # noqa: BLE001 - whatever it is, each query has an outcome
            self._failed(error)
        self._settler.add(zip(batch.queries, results, strict=True), soon=batch.has_slot or not self._unsent)

    def _heed(self, failures: Sequence[OracleError], *, answered: bool) -> None:
        """Take note of whether the oracle asks to be left alone, and for how long."""
        if answered:
            self._waits.answered()
        asks_to_wait = (f for f in failures if isinstance(f, RateLimited) or f.retry_after is not None)
        if (refusal := next(asks_to_wait, None)) is not None:
            self._waits.refused(str(refusal).removeprefix(f"{refusal.oracle}: "), self.provider.pace.paused)

    def _settled(self, attempts: int) -> None:
        self._open -= attempts
        self._short_of_budget = False
        self._changed.set()
