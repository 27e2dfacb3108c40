"""The inner half of the client: it forms batches, paces them, holds their budget, sends and settles.

Theory of operation.

1. One task, the dispatcher, decides what is sent next. A batch goes out when it is as large as the oracle takes, or
   when nothing more is being prepared; a slot must be free and the pace must allow it, both of which are shared with
   every other run that asks the same provider.
2. Order of an attempt: pace, reserve (committed), send, settle (committed), deliver. Pace comes before the hold, so
   that a killed process leaves holds only for what it may really have sent.
3. A refusal for want of budget is final only when nothing of ours is in flight: a hold in flight may yet be released.
4. Whoever waits for an answer may go away; an attempt in flight is settled and stored all the same. A request
   is cancelled only while the oracle has it, by `abandon`, and goes on to settle an unknown outcome.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bbquery.answers import checked
from bbquery.deadlines import Deadlines
from bbquery.errors import (
    BbqueryError,
    BudgetExhausted,
    CostAboveHold,
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    Rejected,
    StorageFailed,
    UsageError,
)
from bbquery.ledger.owners import batch_of
from bbquery.ledger.records import Answered, Busy, Granted, Request, Settlement
from bbquery.provider import provider_of
from bbquery.telemetry import Requests
from bbquery.types import Units

if TYPE_CHECKING:
    from bbquery.clock import Clock
    from bbquery.halt import Halt
    from bbquery.ledger.records import Result
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.store import Question
    from bbquery.types import Reply

SECONDS_BETWEEN_LOOKS = 0.05  # at an attempt that another process has in flight
IN_A_BATCH = "batch {} holds a question of this run: collect it first, with the command that submitted it (--batch)"


class Halted(Exception):
    """Not sent, because the run may send no more."""


Ended = Callable[["Reply | None", "Exception | None"], None]
"""Called once, with a query's reply or with how it failed: OracleError, BudgetExhausted, StorageFailed or Halted."""


@dataclass(eq=False, slots=True)
class Query:
    """One question on its way: what travels, what it may cost, and who is told of its end."""

    question: Question
    payload: Any
    hold: Units
    ended: Ended
    attempt: int = 0


class Dispatcher:
    """Sends queries in batches within one budget.

    sent: attempts, each retry again. stored_by_others: queries that another process answered and stored meanwhile.
    """

    def __init__(self, oracle: Oracle, ledger: Ledger, budget: int, halt: Halt, clock: Clock) -> None:
        self._oracle, self._ledger, self._budget, self._halt, self._clock = oracle, ledger, budget, halt, clock
        self._capabilities = oracle.capabilities
        self._limits = self._capabilities.limits
        self.provider = provider_of(self._capabilities, clock)
        self._telemetry = Requests(self._capabilities.name, self._capabilities.provider)
        self._waiting: deque[Query] = deque()
        self._preparing = 0
        self._open = 0
        self._short_of_budget = False
        self._starting: list[list[Query]] = []
        self._settling: list[tuple[Query, Reply | OracleError]] = []
        self._requests: set[asyncio.Task[Any]] = set()
        self._sending = Deadlines(self._limits.timeout)
        self._followers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
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
            self.provider.waiting.add(self._changed.set)
        self._waiting.append(query)
        self._changed.set()

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._sending.cancel(but=asyncio.current_task())  # who calls from inside an oracle is about to return

    async def aclose(self) -> None:
        """Wait for what is in flight, then stop. Cancelling this abandons what is in flight."""
        try:
            await self._land()
        except asyncio.CancelledError:
            self.abandon()
            await self._land()
            raise
        finally:
            self.provider.waiting.discard(self._changed.set)
            self._sending.close()
            tasks = [task for task in (self._task, *self._followers) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _land(self) -> None:
        while self._requests:
            ended, _ = await asyncio.wait(self._requests)
            self._requests -= ended  # what failed could not say so itself

    async def _dispatch(self) -> None:
        watch = asyncio.create_task(self._wake_when_halted())
        try:
            while True:
                self._start_what_may()
                await self._until(lambda: bool(self._halt) or self._batch_is_ready())
                batch = [] if self._halt else self._take()
                if batch and not self.provider.pace.is_free:
                    await self._halt_or(self.provider.pace.turn(len(batch), sum(q.hold.tokens for q in batch)))
                if self._halt:
                    self._give_up(batch)
                elif batch:
                    self._start(batch)
        finally:
            watch.cancel()

    def _start_what_may(self) -> None:
        """Start all that nothing holds up, at once: most queries of a fast run go this way."""
        if self._halt or not self.provider.pace.is_free:
            return
        while self._batch_is_ready():
            self._start(self._take())

    def _batch_is_ready(self) -> bool:
        if not self._waiting or self._short_of_budget or not self.provider.has_a_slot:
            return False
        return len(self._waiting) >= self._limits.largest_batch or self._preparing == 0

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready() or (self._halt and not self._waiting):
            self._changed.clear()
            await self._changed.wait()

    async def _wake_when_halted(self) -> None:
        await self._halt.wait()
        self._changed.set()

    async def _halt_or(self, turn: Any) -> None:
        waits = {asyncio.ensure_future(turn), asyncio.ensure_future(self._halt.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _give_up(self, batch: list[Query]) -> None:
        for query in (*batch, *self._waiting):
            query.ended(None, Halted())
        self._waiting.clear()

    def _take(self) -> list[Query]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limits.largest_batch))]

    def _start(self, batch: list[Query]) -> None:
        self.provider.start()
        self._starting.append(batch)
        if len(self._starting) == 1:  # what a loop's turn brings together is held together
            self._begin(self._hold())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._requests.add(asyncio.create_task(work))

    def _ended(self, work: asyncio.Task[Any] | None) -> None:
        self._requests.discard(work)  # by itself: a callback of the task would take a turn of the loop

    async def _hold(self) -> None:
        """Reserve all batches that are starting, and send what was granted."""
        batches, self._starting = self._starting, []
        free = self._capabilities.price.free
        requests = [Request(query.question, self._budget, query.hold, free) for batch in batches for query in batch]
        try:
            results = iter(await self._ledger.reserve(requests))
        except StorageFailed as error:
            for batch in batches:
                self.provider.end()
                for query in batch:
                    query.ended(None, error)
            self._ended(asyncio.current_task())
            return
        refused: list[tuple[Query, BudgetExhausted]] = []
        for batch in batches:
            if granted := self._granted(zip(batch, results, strict=False), refused):
                self._begin(self._send(granted))
            else:
                self.provider.end()
        self._refuse(refused)
        self._ended(asyncio.current_task())

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
                    query.ended(reply, None)
                case Busy(owner) if batch_of(owner) is not None:
                    query.ended(None, UsageError(IN_A_BATCH.format(batch_of(owner))))
                case Busy():
                    self._follow(query)
                case BudgetExhausted():
                    refused.append((query, result))
        self._open += len(granted)
        self.sent += len(granted)
        return granted

    def _refuse(self, refused: Sequence[tuple[Query, BudgetExhausted]]) -> None:
        if refused and self._open:
            self._short_of_budget = True
            self._waiting.extendleft(query for query, _ in reversed(refused))
            return
        for query, error in refused:
            query.ended(None, error)

    def _follow(self, query: Query) -> None:
        follower = asyncio.create_task(self._follow_another(query))
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def _follow_another(self, query: Query) -> None:
        """Wait for another process's attempt at the same question to end, then ask the ledger again."""
        try:
            while not self._halt and await asyncio.to_thread(self._ledger.in_flight, query.question.key):
                await self._halt.sleep(SECONDS_BETWEEN_LOOKS, self._clock)
        except BbqueryError as error:
            query.ended(None, error)
            return
        self._waiting.append(query)
        self._changed.set()

    async def _send(self, batch: list[Query]) -> None:
        request = cast("asyncio.Task[Any]", asyncio.current_task())
        if self._telemetry.listening:
            results = await self._telemetry.request(len(batch), self._outcome(batch, request))
        else:
            results = await self._outcome(batch, request)
        failures = [result for result in results if isinstance(result, OracleError)]
        if failures:
            self._telemetry.failed(failures)
        for query, result in zip(batch, results, strict=True):
            self._halt_if_final(query, result)
        self.provider.learn(failures, self._oracle.rate_seen)
        self.provider.end()  # before settling: the next batch's hold shares this one's commit
        if not self._settling:  # what a loop's turn brings together is settled together
            self._begin(self._settle())
        self._settling.extend(zip(batch, results, strict=True))
        self._ended(request)

    async def _outcome(self, batch: list[Query], request: asyncio.Task[Any]) -> list[Reply | OracleError]:
        name, timeout = self._capabilities.name, self._limits.timeout
        failure: OracleError
        self._sending.begin(request)
        try:
            replies = await self._oracle.answer([query.payload for query in batch])
            return checked(replies, len(batch), self._capabilities)
        except asyncio.CancelledError:
            request.uncancel()  # too late, or abandoned: its outcome must still be settled
            late = self._sending.end(request)
            told = f"no answer within {timeout:g} seconds" if late else "abandoned in flight"
            failure = OutcomeUnknown(told, oracle=name)
        except OracleError as error:
            failure = error
        except UsageError as error:  # found by the oracle before it sent anything: a key that is not set
            self._halt.set(error)
            failure = Rejected(str(error), oracle=name)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the attempt must be settled
            failure = OracleError(f"failed unexpectedly: {type(error).__name__}: {error}", oracle=name)
            failure.__cause__ = error
        finally:
            self._sending.end(request)
        return [failure] * len(batch)

    async def _settle(self) -> None:
        """Settle all that is settling, and tell those who wait."""
        pairs, self._settling = self._settling, []
        try:
            await self._ledger.settle([_settlement(query, result) for query, result in pairs])
        except StorageFailed as error:
            self._halt.set(error)  # what was answered still reaches the plan
        self._open -= len(pairs)
        self._short_of_budget = False
        self._changed.set()
        for query, result in pairs:
            if isinstance(result, OracleError):
                query.ended(None, result)
            else:
                query.ended(result, None)
        self._ended(asyncio.current_task())

    def _halt_if_final(self, query: Query, result: Reply | OracleError) -> None:
        """Stop at once, before another request can leave, where asking on is useless or unsafe."""
        if isinstance(result, OracleError):
            if not result.retryable:
                self._halt.set(result)
        elif result.cost is not None and not result.cost.within(query.hold):
            told = f"a query cost {result.cost}, above its worst case of {query.hold}: no cap is safe, please report it"
            self._halt.set(CostAboveHold(told, oracle=self._capabilities.name))


def _settlement(query: Query, result: Reply | OracleError) -> Settlement:
    if not isinstance(result, OracleError):
        return Settlement(query.attempt, "posted", result.cost or query.hold, question=query.question, reply=result)
    cost = Units()
    if result.outcome == "posted":
        cost = (result.cost if isinstance(result, MalformedAnswer) else None) or query.hold
    return Settlement(query.attempt, result.outcome, cost, reason=f"{type(result).__name__}: {result}")
