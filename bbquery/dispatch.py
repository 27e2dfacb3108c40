"""The inner half of the client: it forms batches, paces them, holds their budget, sends and settles.

Theory of operation.

1. One task, the dispatcher, decides what is sent next. A batch goes out when it is as large as the oracle takes, or
   when nothing more is being prepared; a request slot must be free and the pace must allow it.
2. Order of an attempt: pace, reserve (committed), send, settle (committed), deliver. Pace comes before the hold, so
   that a killed process leaves holds only for what it may really have sent.
3. A refusal for want of budget is final only when nothing of ours is in flight: a hold in flight may yet be released.
4. Whoever waits for an answer may go away; an attempt in flight is settled and stored all the same. Request tasks
   are never cancelled: only the oracle's part of one is, by `abandon`, and its outcome is then unknown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bbquery.answers import checked
from bbquery.errors import BbqueryError, BudgetExhausted, OracleError, OutcomeUnknown, RateLimited, StorageFailed
from bbquery.ledger.records import Answered, Busy, Granted, Request, Settlement
from bbquery.limiter import Pace
from bbquery.types import Units

if TYPE_CHECKING:
    from bbquery.clock import Clock
    from bbquery.halt import Halt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.store import Question
    from bbquery.types import Answer

SECONDS_BETWEEN_LOOKS = 0.05  # at an attempt that another process has in flight
ONE_QUERY = Units(queries=1)


class Halted(Exception):
    """Not sent, because the run may send no more."""


@dataclass(eq=False)
class Query:
    """One question on its way: what travels, and who waits for its answer."""

    question: Question
    payload: Any
    done: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    attempt: int = 0


class Dispatcher:
    """Sends queries in batches within one budget.

    sent: attempts, each retry again. stored_by_others: queries that another process answered and stored meanwhile.
    """

    def __init__(self, oracle: Oracle, ledger: Ledger, budget: int, halt: Halt, clock: Clock) -> None:
        self._oracle, self._ledger, self._budget, self._halt, self._clock = oracle, ledger, budget, halt, clock
        self._capabilities = oracle.capabilities
        self._limits = self._capabilities.limits
        self._pace = Pace(self._limits.requests_per_second, clock)
        self._waiting: deque[Query] = deque()
        self._preparing = 0
        self._slots = self._limits.concurrency
        self._open = 0
        self._short_of_budget = False
        self._requests: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Future[Sequence[Answer | OracleError]]] = set()
        self._followers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.sent = self.stored_by_others = 0

    def preparing(self, change: int) -> None:
        """Say that this many more (or fewer) queries are about to come: a batch waits for them to fill it."""
        self._preparing += change
        self._changed.set()

    async def attempt(self, question: Question, payload: Any) -> Answer:
        """Make one attempt and return its answer.

        Raises:
            OracleError: how the attempt failed. BudgetExhausted: no budget. StorageFailed: no ledger. Halted: not sent.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._dispatch(), name="bbquery-dispatcher")
        query = Query(question, payload)
        self._waiting.append(query)
        self._changed.set()
        return await query.done

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        for sending in self._sending:
            sending.cancel()

    async def aclose(self) -> None:
        """Wait for what is in flight, then stop. Cancelling this abandons what is in flight."""
        try:
            await self._land()
        except asyncio.CancelledError:
            self.abandon()
            await self._land()
            raise
        finally:
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
                if not self._halt:
                    await self._halt_or(self._pace.turn())
                if self._halt:
                    self._give_up()
                else:
                    self._start(self._take())
        finally:
            watch.cancel()

    def _batch_is_ready(self) -> bool:
        if not self._waiting or self._short_of_budget or not self._slots:
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

    def _give_up(self) -> None:
        for query in self._waiting:
            _fail(query, Halted())
        self._waiting.clear()

    def _take(self) -> list[Query]:
        batch: list[Query] = []
        while self._waiting and len(batch) < self._limits.largest_batch:
            query = self._waiting.popleft()
            if not query.done.cancelled():
                batch.append(query)
        return batch

    def _start(self, batch: list[Query]) -> None:
        if not batch:
            return
        self._slots -= 1
        request = asyncio.create_task(self._request(batch))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    def _finish_request(self) -> None:
        self._slots += 1
        self._changed.set()

    async def _request(self, batch: list[Query]) -> None:
        try:
            granted = await self._reserve(batch)
        except StorageFailed as error:
            for query in batch:
                _fail(query, error)
            granted = []
        if granted:
            await self._send(granted)
        else:
            self._finish_request()

    async def _reserve(self, batch: list[Query]) -> list[Query]:
        """Return the queries that were granted; the others are answered, waiting, put back or refused."""
        free = self._capabilities.price.free
        requests = [Request(query.question, self._budget, ONE_QUERY, free) for query in batch]
        granted: list[Query] = []
        refused: list[tuple[Query, BudgetExhausted]] = []
        for query, result in zip(batch, await self._ledger.reserve(requests), strict=True):
            match result:
                case Granted(attempt):
                    query.attempt = attempt
                    granted.append(query)
                case Answered(answer):
                    self.stored_by_others += 1
                    _deliver(query, answer)
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
            _fail(query, error)

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
            _fail(query, error)
            return
        self._waiting.append(query)
        self._changed.set()

    async def _send(self, batch: list[Query]) -> None:
        sending = asyncio.ensure_future(self._oracle.answer([query.payload for query in batch]))
        self._sending.add(sending)
        results = await self._outcome(sending, len(batch))
        self._sending.discard(sending)
        for result in results:
            if isinstance(result, RateLimited) and result.retry_after is not None:
                self._pace.pause(result.retry_after)
        self._finish_request()  # before settling: the next batch's hold shares this one's commit
        await self._settle(batch, results)

    async def _outcome(
        self, sending: asyncio.Future[Sequence[Answer | OracleError]], size: int
    ) -> list[Answer | OracleError]:
        name, timeout = self._capabilities.name, self._limits.timeout
        failure: OracleError
        try:
            async with asyncio.timeout(timeout):
                return checked(await sending, size, self._capabilities)
        except TimeoutError:
            failure = OutcomeUnknown(f"no answer within {timeout:g} seconds", oracle=name)
        except asyncio.CancelledError:
            failure = OutcomeUnknown("abandoned in flight", oracle=name)
        except OracleError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the attempt must be settled
            failure = OracleError(f"failed unexpectedly: {type(error).__name__}: {error}", oracle=name)
            failure.__cause__ = error
        return [failure] * size

    async def _settle(self, batch: list[Query], results: Sequence[Answer | OracleError]) -> None:
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
                _fail(query, result)
            else:
                _deliver(query, result)


def _settlement(query: Query, result: Answer | OracleError) -> Settlement:
    if not isinstance(result, OracleError):
        return Settlement(query.attempt, "posted", ONE_QUERY, question=query.question, answer=result)
    cost = ONE_QUERY if result.outcome == "posted" else Units()
    return Settlement(query.attempt, result.outcome, cost, reason=f"{type(result).__name__}: {result}")


def _deliver(query: Query, answer: Answer) -> None:
    if not query.done.done():
        query.done.set_result(answer)


def _fail(query: Query, error: Exception) -> None:
    if not query.done.done():
        query.done.set_exception(error)
