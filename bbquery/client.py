"""The client: an onion over an oracle that wastes no call and loses no paid answer.

    ask -> answer store -> single flight -> retry -> [dispatcher: pace -> budget -> oracle]

Theory of operation.

1. A row is rendered, looked up and (if it must be sent) encoded once, on a worker thread, when there is room for it:
   rows in work never exceed `window`, so memory does not grow with the number of queries.
2. Equal questions in flight share one attempt. A retry is a new attempt with its own hold, so retries lie outside
   the budget; nothing else does.
3. The first cause that forbids sending sets the halt. What is in flight is awaited, what is stored is still served.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery import codec
from bbquery.clock import SystemClock
from bbquery.dispatch import Dispatcher, Halted
from bbquery.errors import BbqueryError
from bbquery.halt import Halt, Interrupted
from bbquery.retry import RetryPolicy
from bbquery.store import Question
from bbquery.types import Units

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from bbquery.clock import Clock
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Ask
    from bbquery.types import Image, Images, Reply

T = TypeVar("T")
DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class Tally:
    """Queries so far. asked: by plans. sent: attempts that left, each retry again. from_store: answered without one.

    unknown: attempts of this budget, in this run or an earlier one, that may have been billed without an answer.
    """

    asked: int
    sent: int
    from_store: int
    unknown: int


@dataclass(frozen=True)
class Prepared:
    """A row, prepared off the loop: its questions, their stored answers, and what travels if one is missing."""

    questions: tuple[Question, ...]
    stored: tuple[Reply | None, ...]
    payload: Any
    hold: Units


class Client:
    """Asks an oracle within one budget. An asynchronous context manager; belongs to one event loop."""

    def __init__(
        self,
        oracle: Oracle,
        ledger: Ledger,
        budget: int,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        clock: Clock | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.oracle, self.ledger, self.budget = oracle, ledger, budget
        self.halt = Halt()
        self._clock = clock or SystemClock()
        self._retry, self._progress = retry, progress
        self._fingerprint, identity = codec.fingerprint(oracle.capabilities.identity)
        ledger.remember_oracle(self._fingerprint, identity)
        self._dispatcher = Dispatcher(oracle, ledger, budget, self.halt, self._clock)
        self._flights: dict[bytes, asyncio.Task[Reply]] = {}
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="bbquery-render")
        self._asked = self._from_store = self._shared = 0
        limits = oracle.capabilities.limits
        self._window = limits.largest_batch * (limits.concurrency + 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for what is in flight, then stop; the oracle and the ledger stay open. Cancelling leaves unknowns."""
        if self._flights:
            self.halt.set(Interrupted("the client was closed while queries were in flight"))
        try:
            await self._dispatcher.aclose()
        finally:
            for flight in self._flights.values():
                flight.cancel()
            await asyncio.gather(*self._flights.values(), return_exceptions=True)
            self._threads.shutdown(wait=True)

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._dispatcher.abandon()

    @property
    def sent(self) -> int:
        """Attempts that left so far, each retry again."""
        return self._dispatcher.sent

    @property
    def in_flight(self) -> int:
        """Requests in flight at the oracle now, those of other runs in this process included."""
        return self._dispatcher.provider.in_flight

    @property
    def rate_limits(self) -> int:
        """How often the oracle said in this process that it is asked too fast."""
        return self._dispatcher.provider.rate_limits

    @property
    def tally(self) -> Tally:
        """Queries so far."""
        from_store = self._from_store + self._shared + self._dispatcher.stored_by_others
        return Tally(self._asked, self._dispatcher.sent, from_store, len(self.ledger.unknowns(self.budget)))

    async def off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work that takes time on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def ask(self, ask: Ask, *, first_sample: int = 0) -> list[list[Reply | None]]:
        """Ask every row, concurrently; return its replies in order, one per repeat, None where none was to be had.

        Causes that forbid sending do not raise: they set `halt`, and what was answered is returned. first_sample: the
        index of the first repeat; those below it are left to whoever asked them.
        """
        replies: list[list[Reply | None]] = [[None] * repeats for repeats in ask.repeats]
        rows = iter(range(len(replies)))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._window, len(replies))):
                group.create_task(self._rows(ask.images, rows, replies, first_sample))
        return replies

    async def _rows(self, images: Images, rows: Iterator[int], replies: list[list[Reply | None]], first: int) -> None:
        for row in rows:
            if self.halt.interrupted:
                return
            await self._row(images, row, replies[row], first)

    async def _row(self, images: Images, row: int, replies: list[Reply | None], first: int) -> None:
        repeats = len(replies)
        self._asked += repeats
        self._dispatcher.preparing(repeats)
        try:
            prepared = await self.off_loop(self._prepare, images, row, range(first, first + repeats))
            flights = [self._begin(prepared, place) for place in range(repeats)]
        except BbqueryError as error:
            self.halt.set(error)
            return
        finally:
            self._dispatcher.preparing(-repeats)
        await asyncio.gather(*(self._land(flight, place, replies) for place, flight in enumerate(flights)))

    def _prepare(self, images: Images, row: int, samples: range) -> Prepared:
        """Render, look up and, unless all is stored, encode and quote; on a worker thread."""
        image = images[row]
        questions = tuple(self._questions(image, samples))
        stored = tuple(self.ledger.find(question.key) for question in questions)
        if self.halt or None not in stored:
            return Prepared(questions, stored, None, Units())
        payload = self.oracle.encode(image)
        return Prepared(questions, stored, payload, self.oracle.quote(payload).worst)

    def _questions(self, image: Image, samples: range) -> Iterator[Question]:
        digest = codec.image_digest(image)
        for sample in samples:
            yield Question(codec.answer_key(self._fingerprint, digest, sample), self._fingerprint, digest, sample)

    def _begin(self, prepared: Prepared, place: int) -> Reply | asyncio.Task[Reply] | None:
        """Return the stored reply, or the flight of an equal question, or a new one; None where none may leave."""
        stored, question = prepared.stored[place], prepared.questions[place]
        flight = self._flights.get(question.key)
        if stored is not None or self.halt:
            return stored
        if flight is not None:
            return asyncio.create_task(self._join(flight))
        first = self._dispatcher.enqueue(question, prepared.payload, prepared.hold)
        flight = asyncio.create_task(self._with_retries(first, question, prepared))
        self._flights[question.key] = flight
        flight.add_done_callback(lambda done: self._landed(question.key, done))
        return flight

    async def _join(self, flight: asyncio.Task[Reply]) -> Reply:
        """Share the flight of an equal question."""
        reply = await asyncio.shield(flight)
        self._shared += 1
        return reply

    async def _land(self, flight: Reply | asyncio.Task[Reply] | None, place: int, replies: list[Reply | None]) -> None:
        """Wait for a flight; what ends it halts the run. Whoever waits may go away without ending it."""
        try:
            if isinstance(flight, asyncio.Task):
                replies[place] = await asyncio.shield(flight)
            elif flight is not None:
                replies[place] = flight
                self._from_store += 1
        except Halted:
            return
        except BbqueryError as error:
            self.halt.set(error)
        self._progress()

    def _landed(self, key: bytes, flight: asyncio.Task[Reply]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # whoever still waits gets it; when nobody does, it is no news

    async def _with_retries(self, first: asyncio.Future[Reply], question: Question, prepared: Prepared) -> Reply:
        waiting: asyncio.Future[Reply] | None = first
        seed = int.from_bytes(question.key[:8])
        async for attempt in self._retry.retrying(self._sleep, seed):
            with attempt:
                done = waiting or self._dispatcher.enqueue(question, prepared.payload, prepared.hold)
                waiting = None
                return await done
        raise AssertionError("tenacity raises the last error")

    async def _sleep(self, seconds: float) -> None:
        await self.halt.sleep(seconds, self._clock)
