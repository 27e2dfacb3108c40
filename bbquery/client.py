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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from bbquery.clock import Clock
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Ask
    from bbquery.types import Answer, Image, Images

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
    stored: tuple[Answer | None, ...]
    payload: Any


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
        self._flights: dict[bytes, asyncio.Task[Answer]] = {}
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="bbquery-render")
        self._asked = self._from_store = 0
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
    def tally(self) -> Tally:
        """Queries so far."""
        from_store = self._from_store + self._dispatcher.stored_by_others
        return Tally(self._asked, self._dispatcher.sent, from_store, len(self.ledger.unknowns(self.budget)))

    async def off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work that takes time on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def ask(self, ask: Ask) -> list[list[Answer | None]]:
        """Ask every row, concurrently; return its answers in order, one per repeat, None where none was to be had.

        Causes that forbid sending do not raise: they set `halt`, and what was answered is returned.
        """
        answers: list[list[Answer | None]] = [[None] * repeats for repeats in ask.repeats]
        rows = iter(range(len(answers)))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._window, len(answers))):
                group.create_task(self._rows(ask.images, rows, answers))
        return answers

    async def _rows(self, images: Images, rows: Iterator[int], answers: list[list[Answer | None]]) -> None:
        for row in rows:
            if self.halt.interrupted:
                return
            await self._row(images, row, answers[row])

    async def _row(self, images: Images, row: int, answers: list[Answer | None]) -> None:
        repeats = len(answers)
        self._asked += repeats
        self._dispatcher.preparing(repeats)
        try:
            prepared = await self.off_loop(self._prepare, images, row, repeats)
            samples = [asyncio.create_task(self._sample(prepared, sample, answers)) for sample in range(repeats)]
        except BbqueryError as error:
            self.halt.set(error)
            return
        finally:
            self._dispatcher.preparing(-repeats)
        await asyncio.gather(*samples)

    def _prepare(self, images: Images, row: int, repeats: int) -> Prepared:
        """Render, look up and, unless all is stored, encode; on a worker thread."""
        image = images[row]
        questions = tuple(self._questions(image, repeats))
        stored = tuple(self.ledger.find(question.key) for question in questions)
        missing = not self.halt and any(answer is None for answer in stored)
        return Prepared(questions, stored, self.oracle.encode(image) if missing else None)

    def _questions(self, image: Image, repeats: int) -> Iterator[Question]:
        digest = codec.image_digest(image)
        for sample in range(repeats):
            yield Question(codec.answer_key(self._fingerprint, digest, sample), self._fingerprint, digest, sample)

    async def _sample(self, prepared: Prepared, sample: int, answers: list[Answer | None]) -> None:
        question, stored = prepared.questions[sample], prepared.stored[sample]
        if stored is not None:
            answers[sample] = stored
            self._from_store += 1
        elif not self.halt:
            answers[sample] = await self._single_flight(question, prepared.payload)
        self._progress()

    async def _single_flight(self, question: Question, payload: Any) -> Answer | None:
        """Join an equal question in flight, or be the first."""
        flight = self._flights.get(question.key)
        joined = flight is not None
        if flight is None:
            flight = asyncio.create_task(self._with_retries(question, payload))
            self._flights[question.key] = flight
            flight.add_done_callback(lambda done: self._landed(question.key, done))
        try:
            answer = await asyncio.shield(flight)
        except Halted:
            return None
        except BbqueryError as error:
            self.halt.set(error)
            return None
        self._from_store += joined
        return answer

    def _landed(self, key: bytes, flight: asyncio.Task[Answer]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # whoever still waits gets it; when nobody does, it is no news

    async def _with_retries(self, question: Question, payload: Any) -> Answer:
        seed = int.from_bytes(question.key[:8])
        async for attempt in self._retry.retrying(self._sleep, seed):
            with attempt:
                return await self._dispatcher.attempt(question, payload)
        raise AssertionError("tenacity raises the last error")

    async def _sleep(self, seconds: float) -> None:
        await self.halt.sleep(seconds, self._clock)
