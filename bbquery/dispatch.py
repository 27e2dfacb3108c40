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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.answers import checked
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
from bbquery.ledger.records import Answered, Busy, Granted, Request, Settlement
from bbquery.provider import provider_of
from bbquery.telemetry import Requests
from bbquery.types import Units

if TYPE_CHECKING:
    from bbquery.clock import Clock
    from bbquery.halt import Halt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.store import Question
    from bbquery.types import Reply

SECONDS_BETWEEN_LOOKS = 0.05  # at an attempt that another process has in flight


class Halted(Exception):
    """Not sent, because the run may send no more."""


Ended = Callable[["Reply | None", "Exception | None"], None]
"""Called once, with a query's reply or with how it failed: OracleError, BudgetExhausted, StorageFailed or Halted."""


@dataclass(eq=False)
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
        self._requests: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
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
        for request in self._sending - {asyncio.current_task()}:  # who calls from inside an oracle is about to return
            request.cancel()

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
            tasks = [task for task in (self._task, *self._followers) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _land(self) -> None:
        while self._requests:
            await asyncio.wait(self._requests)

    async def _dispatch(self) -> None:
        watch = asyncio.create_task(self._wake_when_halted())
        try:
            while True:
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
        request = asyncio.create_task(self._request(batch))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _request(self, batch: list[Query]) -> None:
        try:
            granted = await self._reserve(batch)
        except StorageFailed as error:
            for query in batch:
                query.ended(None, error)
            granted = []
        if granted:
            await self._send(granted)
        else:
            self.provider.end()

    async def _reserve(self, batch: list[Query]) -> list[Query]:
        """Return the queries that were granted; the others are answered, waiting, put back or refused."""
        free = self._capabilities.price.free
        requests = [Request(query.question, self._budget, query.hold, free) for query in batch]
        granted: list[Query] = []
        refused: list[tuple[Query, BudgetExhausted]] = []
        for query, result in zip(batch, await self._ledger.reserve(requests), strict=True):
            match result:
                case Granted(attempt):
                    query.attempt = attempt
                    granted.append(query)
                case Answered(reply):
                    self.stored_by_others += 1
                    query.ended(reply, None)
                case Busy():
                    self._follow(query)
                case BudgetExhausted():
                    refused.append((query, result))
        self._open += len(granted)
        self.sent += len(granted)
        self._refuse(refused)
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
        with self._telemetry.request(len(batch)) as results:
            results.extend(await self._outcome(batch))
        for query, result in zip(batch, results, strict=True):
            self._halt_if_final(query, result)
        self.provider.learn(results, self._oracle.rate_seen)
        self.provider.end()  # before settling: the next batch's hold shares this one's commit
        await self._settle(batch, results)

    async def _outcome(self, batch: list[Query]) -> list[Reply | OracleError]:
        name, timeout = self._capabilities.name, self._limits.timeout
        failure: OracleError
        request = asyncio.current_task()
        assert request is not None  # noqa: S101 - a request is a task
        self._sending.add(request)
        try:
            async with asyncio.timeout(timeout):
                replies = await self._oracle.answer([query.payload for query in batch])
            return checked(replies, len(batch), self._capabilities)
        except TimeoutError:
            failure = OutcomeUnknown(f"no answer within {timeout:g} seconds", oracle=name)
        except asyncio.CancelledError:
            request.uncancel()  # abandoned: its outcome must still be settled
            failure = OutcomeUnknown("abandoned in flight", oracle=name)
        except OracleError as error:
            failure = error
        except UsageError as error:  # found by the oracle before it sent anything: a key that is not set
            self._halt.set(error)
            failure = Rejected(str(error), oracle=name)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the attempt must be settled
            failure = OracleError(f"failed unexpectedly: {type(error).__name__}: {error}", oracle=name)
            failure.__cause__ = error
        finally:
            self._sending.discard(request)
        return [failure] * len(batch)

    async def _settle(self, batch: list[Query], results: Sequence[Reply | OracleError]) -> None:
        pairs = list(zip(batch, results, strict=True))
        try:
            await self._ledger.settle([_settlement(query, result) for query, result in pairs])
        except StorageFailed as error:
            self._halt.set(error)  # what was answered still reaches the plan
        self._open -= len(batch)
        self._short_of_budget = False
        self._changed.set()
        for query, result in pairs:
            if isinstance(result, OracleError):
                query.ended(None, result)
            else:
                query.ended(result, None)

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
