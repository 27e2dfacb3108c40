"""The client: an onion over an oracle that wastes no call and loses no paid answer.

    ask -> answer store -> single flight -> retry -> [dispatcher: pace -> budget -> oracle]

Theory of operation.

1. A row is rendered, looked up and (if it must be sent) encoded once, on a worker thread, when there is room for it:
   rows in work never exceed `window`, so memory does not grow with the number of queries. Cheap rows go to the thread
   several at a time, dear ones one by one, so that neither the way there nor a long wait costs much.
2. Equal questions in flight share one attempt. A retry is a new attempt with its own hold, so retries lie outside
   the budget; nothing else does.
3. The first cause that forbids sending sets the halt. What is in flight is awaited, what is stored is still served.
4. A query whose answers cannot be read ends as `NoAnswer`, which is not stored, and the run goes on. But where nothing
   was read before, more likely nothing ever can be: then that halts the run. In this process nothing is asked again
   for that reason, since the same function would say the same.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bbquery.client.dispatch import AHEAD, Dispatcher
from bbquery.client.gc_threshold import patient
from bbquery.client.halt import Halt, Interrupted
from bbquery.client.retry import RetryPolicy
from bbquery.client.settling import Halted, Query
from bbquery.client.waiting import Waits, longest
from bbquery.errors import MalformedAnswer, OracleError, unforeseen
from bbquery.ledger import codec
from bbquery.ledger.store import Question
from bbquery.system.clock import SystemClock
from bbquery.system.forks import OneProcess
from bbquery.types import NoAnswer, Reply
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Ask
    from bbquery.system.clock import Clock
    from bbquery.types import Image, Images

T = TypeVar("T")
SECONDS_ON_A_THREAD = 0.004  # of rows prepared together: long against the way to the thread, short against a request
MOST_ROWS_ON_A_THREAD = 64
DEAR = 4  # rows, or fewer, that fill that time: worth another thread
SHARE_OF_WINDOW = 8  # the part of the window that must be free before rows go to a thread together
DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class Tally:
    """Queries so far. asked: different questions, however many plans share one.

    sent: attempts that left, each retry again. from_store: of the questions, those answered without an attempt.
    unknown: attempts of this budget, in this run or an earlier one, that may have been billed without an answer.
    unreadable: answers of this budget that were paid for and could not be read. paid_again: of these, those whose
    question was paid for once more.
    answered: of the questions, those that have an answer.
    """

    asked: int
    sent: int
    from_store: int
    unknown: int
    unreadable: int = 0
    paid_again: int = 0
    answered: int = 0

    def plus(self, other: Tally) -> Tally:
        """Return the sum of two clients' tallies; a question that both asked counts twice."""
        return Tally(*map(operator.add, astuple(self), astuple(other)))


class Prepared(NamedTuple):
    """A row, prepared off the loop: its questions, their stored answers, and what travels if one is missing."""

    questions: tuple[Question, ...]
    stored: tuple[Reply | None, ...]
    payload: Any
    hold: Units


class Asking:
    """One call of `ask`: which rows are left, how many are in work, and what came back."""

    def __init__(self, images: Images, repeats: tuple[int, ...], first_sample: int, window: int) -> None:
        self.images, self.repeats, self.first_sample = images, repeats, first_sample
        self.replies: list[list[Reply | None]] = [[None] * n for n in repeats]
        self._left = list(repeats)
        self._next, self._in_work, self._window = 0, 0, window
        self._changed = asyncio.Event()

    async def take(self, most: int) -> range:
        """Wait for room and return the next rows, at most so many; an empty range where none is left.

        Rows make room one by one, so it waits until a fair part of those wanted go together.
        """
        room = min(most, max(self._window // SHARE_OF_WINDOW, 1))
        while self._in_work + room > self._window and self._next < len(self.repeats):
            self._changed.clear()
            await self._changed.wait()
        stop = min(self._next + most, self._next + self._window - self._in_work, len(self.repeats))
        rows = range(self._next, max(stop, self._next))
        self._next = rows.stop
        self._in_work += len(rows)
        return rows

    def land(self, row: int, place: int, reply: Reply | None) -> None:
        """Keep one reply; with its last one a row makes room for another."""
        self.replies[row][place] = reply
        self._left[row] -= 1
        if not self._left[row]:
            self.give_up([row])

    def give_up(self, rows: Sequence[int]) -> None:
        """Make room for as many other rows."""
        self._in_work -= len(rows)
        self._changed.set()

    async def finished(self) -> None:
        """Wait until no row is in work."""
        while self._in_work:
            self._changed.clear()
            await self._changed.wait()


def rows_for(seconds: float, seconds_a_row: float) -> int:
    """Return how many rows fill so much time, within reason."""
    return max(1, min(MOST_ROWS_ON_A_THREAD, int(seconds / max(seconds_a_row, 1e-6))))


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
        waiting: Callable[[str], None] = lambda _: None,
        longest_wait: float | None = None,
    ) -> None:
        """Begin a run within a budget.

        retry: how often a query is tried. progress: called with each answer. waiting: hears a line for people whenever
        the oracle asks to be left alone for longer than a person would not notice. longest_wait: seconds without an
        answer for which it may; longer ends the run like a used-up quota. None is what holds here, 15 minutes mostly.

        Raises:
            UsageError: longest_wait is no time.
        """
        self.oracle, self.ledger, self.budget = oracle, ledger, budget
        self._process = OneProcess("this client")
        self.halt = Halt()
        self._clock = clock or SystemClock()
        self._retry = retry if oracle.capabilities.remote else replace(retry, unreadable=1)
        self._progress = progress
        self._read = False  # whether any answer was
        self._fingerprint, identity = codec.fingerprint(oracle.capabilities.identity)
        ledger.remember_oracle(self._fingerprint, identity)
        self.longest_wait = longest(longest_wait)
        waits = Waits(oracle.capabilities.name, self.halt, self._clock, waiting, self.longest_wait)
        self._dispatcher = Dispatcher(oracle, ledger, budget, self.halt, self._clock, waits=waits)
        self._flights: dict[bytes, list[tuple[Asking, int, int]]] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._feeders = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._feeders, thread_name_prefix="bbquery-render")
        self._known: set[bytes] = set()  # questions asked so far: a second plan that asks one adds nothing to pay
        self._from_store = self._answered = 0
        limits = oracle.capabilities.limits
        self._window = limits.largest_batch * (2 + AHEAD) * (limits.concurrency + 1)  # in flight, held ahead, settled

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
            for retry in self._retries:
                retry.cancel()
            await asyncio.gather(*self._retries, return_exceptions=True)
            for passengers in self._flights.values():
                for asking, row, place in passengers:
                    asking.land(row, place, None)
            self._flights.clear()
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
        from_store = self._from_store + self._dispatcher.stored_by_others
        unknown, unreadable = len(self.ledger.unknowns(self.budget)), self.ledger.unreadable(self.budget)
        return Tally(
            len(self._known), self._dispatcher.sent, from_store, unknown, unreadable.answers, unreadable.paid_again,
            self._answered,
        )  # fmt: skip

    async def off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work that takes time on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def ask(self, ask: Ask, *, first_sample: int = 0) -> list[list[Reply | None]]:
        """Ask every row, concurrently; return its replies in order, one per repeat, None where none was to be had.

        Causes that forbid sending do not raise: they set `halt`, and what was answered is returned. first_sample: the
        index of the first repeat; those below it are left to whoever asked them.
        """
        self._process.check()
        asking = Asking(ask.images, ask.repeats, first_sample, self._window)
        with patient():
            async with asyncio.TaskGroup() as group:
                await self._feed(asking, group, others=self._feeders - 1)
            await asking.finished()
        return asking.replies

    async def _feed(self, asking: Asking, group: asyncio.TaskGroup, others: int) -> None:
        """Prepare rows as there is room for them, and send them on their way; dear rows with the help of others."""
        try:
            await self._fed(asking, group, others)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the run in order
            self._failed(error)

    async def _fed(self, asking: Asking, group: asyncio.TaskGroup, others: int) -> None:
        size = 1
        while not self.halt.interrupted and (rows := await asking.take(size)):
            queries = sum(asking.repeats[row] for row in rows)
            self._dispatcher.preparing(queries)
            try:
                prepared, seconds = await self.off_loop(self._prepare, asking, rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for these rows
                self._failed(error)
                asking.give_up(rows)
            else:
                for row, parts in zip(rows, prepared, strict=True):
                    for place in range(asking.repeats[row]):
                        self._begin(asking, row, place, parts)
                size = rows_for(SECONDS_ON_A_THREAD, seconds / len(rows))
                if others and size <= DEAR:
                    group.create_task(self._feed(asking, group, others - 1))
                    others = 0
            finally:
                self._dispatcher.preparing(-queries)

    def _prepare(self, asking: Asking, rows: Sequence[int]) -> tuple[list[Prepared], float]:
        """Render, look up and, unless all is stored, encode and quote; on a worker thread, whose seconds it returns."""
        began = time.thread_time()
        images = [asking.images[row] for row in rows]
        samples = [range(asking.first_sample, asking.first_sample + asking.repeats[row]) for row in rows]
        questions = [tuple(self._questions(*pair)) for pair in zip(images, samples, strict=True)]
        found = self.ledger.find([question.key for of_row in questions for question in of_row])
        prepared = [self._prepared(image, of_row, found) for image, of_row in zip(images, questions, strict=True)]
        return prepared, time.thread_time() - began

    def _prepared(self, image: Image, questions: tuple[Question, ...], found: dict[bytes, Reply]) -> Prepared:
        stored = tuple(found.get(question.key) for question in questions)
        if self.halt or None not in stored:
            return Prepared(questions, stored, None, Units())
        payload = self.oracle.encode(image)
        return Prepared(questions, stored, payload, self.oracle.quote(payload).worst)

    def _questions(self, image: Image, samples: range) -> Iterator[Question]:
        digest = codec.image_digest(image)
        for sample in samples:
            yield Question(codec.answer_key(self._fingerprint, digest, sample), self._fingerprint, digest, sample)

    def _begin(self, asking: Asking, row: int, place: int, prepared: Prepared) -> None:
        """Serve from the store, join the flight of an equal question, or start one."""
        stored, question = prepared.stored[place], prepared.questions[place]
        if question.key not in self._known:
            self._known.add(question.key)
            self._from_store += stored is not None
            self._answered += stored is not None
        self._read = self._read or stored is not None
        if stored is not None or self.halt:
            asking.land(row, place, stored)
            if stored is not None:
                self._advanced()
        elif question.key in self._flights:
            self._flights[question.key].append((asking, row, place))
        else:
            self._flights[question.key] = [(asking, row, place)]
            tried = functools.partial(self._tried, question, prepared)
            self._dispatcher.enqueue(Query(question, prepared.payload, prepared.hold, tried))

    def _tried(self, question: Question, prepared: Prepared, reply: Reply | None, error: Exception | None) -> None:
        """Take the first try's end as the flight's, unless it is worth another."""
        if isinstance(error, OracleError) and error.retryable:
            retry = asyncio.create_task(self._again(error, question, prepared))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        else:
            self._end(question, reply, error)

    async def _again(self, failure: OracleError, question: Question, prepared: Prepared) -> None:
        failures = [failure]  # the first try's; tenacity is to count it and to wait after it

        async def attempt() -> Reply:
            if failures:
                raise failures.pop()
            return await self._attempt(question, prepared)

        try:
            reply: Reply = await self._retry.retrying(self._sleep, int.from_bytes(question.key[:8]))(attempt)
        except Exception as last:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._end(question, None, last)
        else:
            self._end(question, reply, None)

    async def _attempt(self, question: Question, prepared: Prepared) -> Reply:
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def ended(reply: Reply | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if reply is not None:
                done.set_result(reply)
            else:
                done.set_exception(error or Halted())

        self._dispatcher.enqueue(Query(question, prepared.payload, prepared.hold, ended))
        return await done

    def _end(self, question: Question, reply: Reply | None, error: Exception | None) -> None:
        """Tell everyone who shares a flight how it ended; what ends one for good halts the run."""
        if isinstance(error, MalformedAnswer) and self._read:
            reply = Reply(NoAnswer(str(error), "unreadable"))
        elif error is not None and not isinstance(error, Halted):
            self._failed(error)
        self._read = self._read or reply is not None
        passengers = self._flights.pop(question.key, [])
        self._answered += error is None  # what could not be read is asked again by another run
        for asking, row, place in passengers:
            asking.land(row, place, reply)
            if reply is not None:
                self._advanced()

    def _advanced(self) -> None:
        """Tell who watches of an answer; what that raises ends the run, not the task that told it."""
        try:
            self._progress()
        except Exception as error:  # noqa: BLE001 - it is code of whoever watches
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Halt because of it."""
        self.halt.set(unforeseen(error, self.oracle.capabilities.name))

    async def _sleep(self, seconds: float) -> None:
        await self.halt.sleep(seconds, self._clock)
