"""An event loop on a thread of its own, for callers without one, or with one that is running already."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from bbquery.errors import UsageError
from bbquery.system.forks import OneProcess

T = TypeVar("T")
CLOSED = "this predict function is closed: open another; what was answered is kept and costs nothing again"


class LoopThread:
    """Runs coroutines for any number of threads, until it is closed."""

    def __init__(self) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        # a daemon, so that a program that forgets to close it can end
        self._thread = threading.Thread(target=self._serve, args=(started,), name="bbquery-predict", daemon=True)
        self._thread.start()
        self._loop, self._end = started.result()
        self._lock = threading.Lock()
        self._closed = False
        self.process = OneProcess("this predict function")

    def run(self, work: Coroutine[Any, Any, T], interrupted: Callable[[], object] = lambda: None) -> T:
        """Run a coroutine to its end. interrupted: called on the loop if this thread stops waiting before that.

        Raises:
            UsageError: it is closed, or was closed meanwhile; or this is a forked child.
        """
        future = self._submitted(work)
        try:
            return future.result()
        except CancelledError:
            raise UsageError(CLOSED) from None
        except BaseException:
            if not future.done():  # Ctrl-C here, and not a failure there
                self._loop.call_soon_threadsafe(interrupted)
            raise

    def _submitted(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            self.process.check()
        except UsageError:
            work.close()
            raise
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise UsageError(CLOSED)

    def close(self) -> None:
        """Cancel what still runs, and end the loop and its thread; not in a forked child, which has none."""
        if self.process.left:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    @staticmethod
    def _serve(started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        async def until_closed() -> None:
            end = asyncio.Event()
            started.set_result((asyncio.get_running_loop(), end))
            await end.wait()

        asyncio.run(until_closed())  # which ends by cancelling what is left, and awaiting that
