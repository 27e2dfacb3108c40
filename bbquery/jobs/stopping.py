"""Stopping a run that another thread waits for, as Ctrl-C does.

1. Before anything is asked, it ends at once: the waiting thread raises KeyboardInterrupt.
2. While it asks, the first time it sends no more and waits for what is in flight; the second time it does not wait
   either. Then it returns what it has, and says so as after any other early end.
3. The third time it ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.client.halt import Interrupted
from bbquery.jobs.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part

T = TypeVar("T")
REASON = "interrupted by Ctrl-C"

_current: ContextVar[Stop | None] = ContextVar("_current", default=None)


def stop_of_this_run() -> Stop | None:
    """Return what stops the run that this code belongs to; None where nobody waits for it on another thread."""
    return _current.get()


class Stop(Watch):
    """Hears which clients a run asks through, and stops them."""

    def __init__(self) -> None:
        self._clients: list[Client] = []
        self._prefetches: list[Prefetch] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._times = 0
        self.ended = False

    async def stoppable(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a part of the run, which ends at once where that is wanted."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self.ended:  # before it began
            work.close()
            raise asyncio.CancelledError
        return await work

    def belongs_here(self) -> None:
        """Let the runs of this context be stopped."""
        _current.set(self)

    def interrupt(self) -> None:
        """Stop, more decidedly each time; from any thread."""
        self._times += 1
        if self.ended or not self._clients or self._times > 2:
            self.end()
        else:
            self._soon(self._halt if self._times == 1 else self._abandon)

    def end(self) -> None:
        """End at once; from any thread."""
        self.ended = True
        self._soon(self._cancel)

    def _soon(self, act: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(act)

    def _halt(self) -> None:
        for client in self._clients:
            client.halt.set(Interrupted(REASON))

    def _abandon(self) -> None:
        for client in self._clients:
            client.abandon()
        for prefetch in self._prefetches:
            prefetch.abandon()

    def _cancel(self) -> None:
        self._abandon()  # or the clients would wait for what is in flight
        if self._task is not None:
            self._task.cancel()

    def beside(self, part: Part) -> Watch:  # noqa: ARG002 - all parts end together
        """Return this: all parts end together."""
        return self

    def started(self, client: Client, queries: int, rows: int) -> None:  # noqa: ARG002 - that of `Watch`
        """Take note of whom to stop, or stop it if it is late."""
        self._clients.append(client)
        if self._times:
            client.halt.set(Interrupted(REASON))

    def measuring(self, client: Client, queries: int) -> None:
        """Likewise."""
        self.started(client, queries, queries)

    def batching(self, prefetch: Prefetch) -> None:
        """Take note of whom not to wait for."""
        self._prefetches.append(prefetch)
