"""Single flight and retries: equal questions in flight share one query, which may take several attempts.

1. A retry is a new attempt with its own hold, so retries lie outside the budget; nothing else does.
2. A query whose answers cannot be read ends as `NoAnswer`, which is not stored, and the run goes on. But where nothing
   was read before, more likely nothing ever can be: then that halts the run.
3. Any other failure that is not worth another attempt halts the run.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from bbquery.client.query import Halted, Query
from bbquery.errors import MalformedAnswer, OracleError, unforeseen
from bbquery.types import NoAnswer, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.client.halt import Halt
    from bbquery.client.preparation import Prepared
    from bbquery.client.retry import RetryPolicy
    from bbquery.client.rows import Asking
    from bbquery.ledger.store import ImageQuestion
    from bbquery.system.clock import Clock


class Flights:
    """Questions in flight, and the rows that wait for each.

    enqueue: queues an attempt. oracle: its name. landed: called for each row that got a reply.
    read: whether any answer could be read, of this flight or from the store.
    """

    def __init__(
        self,
        enqueue: Callable[[Query], None],
        retry: RetryPolicy,
        halt: Halt,
        clock: Clock,
        *,
        oracle: str,
        landed: Callable[[], None],
    ) -> None:
        self._enqueue, self._policy, self._halt, self._clock = enqueue, retry, halt, clock
        self._oracle, self._landed = oracle, landed
        self._waiting: dict[bytes, list[tuple[Asking, int, int]]] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._answered: set[bytes] = set()
        self.read = False

    def __len__(self) -> int:
        """How many questions are in flight."""
        return len(self._waiting)

    @property
    def answered(self) -> int:
        """How many questions have an answer."""
        return len(self._answered)

    def found(self, question: ImageQuestion) -> None:
        """Count a question whose answer was in the store."""
        self._answered.add(question.key)
        self.read = True

    def join(self, question: ImageQuestion, prepared: Prepared, asking: Asking, row: int, place: int) -> None:
        """Wait for the question's answer, with whoever does already; else start its flight."""
        if question.key in self._waiting:
            self._waiting[question.key].append((asking, row, place))
        else:
            self._waiting[question.key] = [(asking, row, place)]
            ended = functools.partial(self._first_ended, question, prepared)
            known = question.key in self._answered
            self._enqueue(Query(question, prepared.payload, prepared.hold, ended, known))

    async def aclose(self) -> None:
        """Stop retries; whoever still waits gets no reply."""
        for retry in self._retries:
            retry.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        for waiting in self._waiting.values():
            for asking, row, place in waiting:
                asking.land(row, place, None)
        self._waiting.clear()

    def _first_ended(
        self, question: ImageQuestion, prepared: Prepared, reply: Reply | None, error: Exception | None
    ) -> None:
        """Take the first attempt's end as the flight's, unless it is worth another."""
        if isinstance(error, OracleError) and error.retryable:
            retry = asyncio.create_task(self._retry(error, question, prepared))
            self._retries.add(retry)
            retry.add_done_callback(self._retries.discard)
        else:
            self._end(question, reply, error)

    async def _retry(self, failure: OracleError, question: ImageQuestion, prepared: Prepared) -> None:
        failures = [failure]  # the first attempt's; tenacity is to count it and to wait after it

        async def attempt() -> Reply:
            if failures:
                raise failures.pop()
            return await self._attempt(question, prepared)

        try:
            reply: Reply = await self._policy.retrying(self._sleep, int.from_bytes(question.key[:8]))(attempt)
        except Exception as last:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._end(question, None, last)
        else:
            self._end(question, reply, None)

    async def _attempt(self, question: ImageQuestion, prepared: Prepared) -> Reply:
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def ended(reply: Reply | None, error: Exception | None) -> None:
            if done.cancelled():
                return
            if reply is not None:
                done.set_result(reply)
            else:
                done.set_exception(error or Halted())

        self._enqueue(Query(question, prepared.payload, prepared.hold, ended))
        return await done

    def _end(self, question: ImageQuestion, reply: Reply | None, error: Exception | None) -> None:
        """Give everyone who waits for a question its reply; a failure that is final halts the run."""
        if isinstance(error, MalformedAnswer) and self.read:
            reply = Reply(NoAnswer(str(error), "unreadable"))
        elif error is not None and not isinstance(error, Halted):
            self._halt.set(unforeseen(error, self._oracle))
        self.read = self.read or reply is not None
        waiting = self._waiting.pop(question.key, [])
        if error is None:  # what could not be read is asked again by another run
            self._answered.add(question.key)
        for asking, row, place in waiting:
            asking.land(row, place, reply)
            if reply is not None:
                self._landed()

    async def _sleep(self, seconds: float) -> None:
        await self._halt.sleep(seconds, self._clock)
