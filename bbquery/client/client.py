"""The client: layers around an oracle that waste no call and lose no paid answer.

    ask -> preparation: answer store -> flights: single flight, retries -> [dispatcher: pace -> budget -> oracle]

Theory of operation.

1. A row is rendered, looked up and (if it must be sent) encoded once, on a worker thread, when there is room for it:
   rows in work never exceed `window`, so memory does not grow with the number of queries. Rows that are
   prepared quickly go to the thread several at a time, slow ones one by one, so that handing over costs little.
2. Equal questions in flight share one query, and a retry is a new attempt with its own hold: `bbquery.client.flights`.
3. The first cause that forbids sending sets the halt. What is in flight is awaited, what is stored is still served.
4. In this process nothing is asked again because its answer could not be read: the same function would say the same.
"""

from __future__ import annotations

import asyncio
import operator
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from bbquery.client import gc_threshold
from bbquery.client.dispatch import Dispatcher
from bbquery.client.flights import Flights
from bbquery.client.halt import Halt, Interrupted
from bbquery.client.preparation import Preparation
from bbquery.client.queue import AHEAD
from bbquery.client.retry import RetryPolicy
from bbquery.client.rows import Asking
from bbquery.client.waiting import Waits, longest
from bbquery.errors import unforeseen
from bbquery.system.clock import SystemClock
from bbquery.system.forks import OneProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from bbquery.client.preparation import Prepared
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Ask
    from bbquery.system.clock import Clock
    from bbquery.types import Image, Reply

T = TypeVar("T")
SECONDS_ON_A_THREAD = 0.004  # of rows prepared together: long against the way to the thread, short against a request
MOST_ROWS_ON_A_THREAD = 64
SLOW = 4  # rows, or fewer, that fill that time: worth another thread
DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True)
class QueryCounts:
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

    def plus(self, other: QueryCounts) -> QueryCounts:
        """Return the sum of two clients' tallies; a question that both asked counts twice."""
        return QueryCounts(*map(operator.add, astuple(self), astuple(other)))


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

        retry: how often a query is tried. progress: called with each answer. waiting: called with a line for people
        whenever the oracle asks for a pause of several seconds. longest_wait: the longest time without an answer, in
        seconds; a longer pause ends the run like a used-up quota. None is 15 minutes.

        Raises:
            UsageError: longest_wait is no time.
        """
        self.oracle, self.ledger, self.budget = oracle, ledger, budget
        self._process = OneProcess("this client")
        self.halt = Halt()
        self._progress = progress
        self._preparation = Preparation(oracle, ledger, self.halt)
        self.longest_wait = longest(longest_wait)
        name, clock = oracle.capabilities.name, clock or SystemClock()
        waits = Waits(name, self.halt, clock, waiting, self.longest_wait)
        self._dispatcher = Dispatcher(oracle, ledger, budget, self.halt, clock, waits=waits)
        retry = retry if oracle.capabilities.remote else replace(retry, unreadable=1)
        self._flights = Flights(self._dispatcher.enqueue, retry, self.halt, clock, oracle=name, landed=self._advanced)
        self._feeders = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(self._feeders, thread_name_prefix="bbquery-render")
        self._known: set[bytes] = set()  # questions asked so far: a second plan that asks one adds nothing to pay
        self._from_store = 0
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
            await self._flights.aclose()
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
    def slots(self) -> int:
        """How many requests may be in flight at the oracle now."""
        return self._dispatcher.provider.slots

    @property
    def waits_to_send(self) -> bool:
        """Whether a query waits for a slot, for its turn, or for others of its batch: only the oracle is waited for."""
        return self._dispatcher.waits_to_send

    @property
    def rate_limits(self) -> int:
        """How often the oracle said in this process that it is asked too fast."""
        return self._dispatcher.provider.rate_limits

    @property
    def tally(self) -> QueryCounts:
        """Queries so far."""
        from_store = self._from_store + self._dispatcher.stored_by_others
        unknown, unreadable = len(self.ledger.unknowns(self.budget)), self.ledger.unreadable(self.budget)
        return QueryCounts(
            len(self._known), self._dispatcher.sent, from_store, unknown, unreadable.answers, unreadable.paid_again,
            self._flights.answered,
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
        with gc_threshold.raised():
            async with asyncio.TaskGroup() as group:
                await self._feed(asking, group, others=self._feeders - 1)
            await asking.finished()
        return asking.replies

    async def payers(self, image: Image, samples: range) -> dict[int, int | None]:
        """Return of those samples of an image that are stored which budget paid for each; None: no attempt did."""
        return await self.off_loop(self._preparation.payers, image, samples)

    async def _feed(self, asking: Asking, group: asyncio.TaskGroup, others: int) -> None:
        """Prepare rows as there is room for them, and send them on their way; slow rows on several threads."""
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
                prepared, seconds = await self.off_loop(self._preparation.prepare, asking, rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for these rows
                self._failed(error)
                asking.give_up(rows)
            else:
                for row, parts in zip(rows, prepared, strict=True):
                    for place in range(asking.repeats[row]):
                        self._begin(asking, row, place, parts)
                size = rows_for(SECONDS_ON_A_THREAD, seconds / len(rows))
                if others and size <= SLOW:
                    group.create_task(self._feed(asking, group, others - 1))
                    others = 0
            finally:
                self._dispatcher.preparing(-queries)

    def _begin(self, asking: Asking, row: int, place: int, prepared: Prepared) -> None:
        """Serve from the store, join the flight of an equal question, or start one."""
        stored, question = prepared.stored[place], prepared.questions[place]
        if question.key not in self._known:
            self._known.add(question.key)
            self._from_store += stored is not None
        if stored is not None:
            self._flights.found(question)
            asking.land(row, place, stored)
            self._advanced()
        elif self.halt:
            asking.land(row, place, None)
        else:
            self._flights.join(question, prepared, asking, row, place)

    def _advanced(self) -> None:
        """Report progress; what the callback raises ends the run, not the task that called it."""
        try:
            self._progress()
        except Exception as error:  # noqa: BLE001 - it is code of whoever watches
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Halt because of it."""
        self.halt.set(unforeseen(error, self.oracle.capabilities.name))
