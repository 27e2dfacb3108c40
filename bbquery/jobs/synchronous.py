"""The synchronous forms of the public calls: same name without `_async`, same options, same help.

1. A run has an event loop on a thread of its own, so it works where a loop is running already, as in a notebook.
2. The caller waits. Its context variables hold in the run; what the run raises is raised to the caller; when the call
   is over, however it ends, loop and thread are gone.
3. Ctrl-C, or a notebook's interrupt, is heard by the waiting thread and stops the run (`bbquery.jobs.stopping`).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from bbquery.jobs.public import bound, name_of
from bbquery.jobs.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Self

P = ParamSpec("P")
T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 0.5  # a signal that comes just before a thread begins to wait does not wake it
NOTE = """

    This is the synchronous form of `{name}`. It also works where an event loop is running, as in a notebook. The first
    Ctrl-C sends no more, and returns what there is as `partial`; the second does not wait for what is in flight.
    """


def synchronous(asked: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the synchronous form of a coroutine function whose name ends in `_async`."""

    @functools.wraps(asked)
    def form(*arguments: P.args, **options: P.kwargs) -> T:
        with _Thread() as thread:
            return thread.run(asked(*arguments, **options))

    return _named(form, asked)


def synchronous_iterator(asked: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, Iterator[T]]:
    """Return the synchronous form of an asynchronous generator function whose name ends in `_async`.

    The generator is closed with the iterator, however the caller leaves it; nothing is kept of what it gave.
    """

    @functools.wraps(asked)
    def form(*arguments: P.args, **options: P.kwargs) -> Iterator[T]:
        bound(asked, arguments, options)  # or a misspelt option would be found with the first result
        return _iterated(asked(*arguments, **options))

    return _named(form, asked)


def _iterated(results: AsyncGenerator[T, None]) -> Iterator[T]:
    with _Thread() as thread:
        try:
            while found := thread.run(_next(results)):
                yield found.pop()
        finally:
            thread.run(_closed(results))


async def _next(results: AsyncGenerator[T, None]) -> list[T]:
    """Return the next result; an empty list after the last."""
    try:
        return [await anext(results)]
    except StopAsyncIteration:
        return []


async def _closed(results: AsyncGenerator[T, None]) -> None:
    await results.aclose()


class _Thread:
    """A thread with an event loop, in the caller's context: a context manager, after which neither is left."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # which a signal cannot leave half done
        self._runner, self._stop = asyncio.Runner(), Stop()
        context = contextvars.copy_context()
        context.run(self._stop.belongs_here)
        # a daemon, so that a program whose generator nobody closes can end
        self._thread = threading.Thread(target=context.run, args=(self._serve,), name="bbquery-run", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # it may be at work, if a signal's handler raised something
            self._stop.end()
        self._work.put(None)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. Ctrl-C stops it in order.

        Raises:
            KeyboardInterrupt: it was stopped before it had asked anything, or more than twice.
        """
        future: Future[T] = Future()
        self._work.put(functools.partial(self._run, work, future))
        while not future.done():
            try:
                wait([future], SECONDS_BETWEEN_LOOKS)
            except KeyboardInterrupt:
                self._stop.interrupt()
        try:
            return future.result()
        except asyncio.CancelledError:
            if self._stop.ended:
                raise KeyboardInterrupt from None
            raise

    def _run(self, work: Coroutine[Any, Any, T], future: Future[T]) -> None:
        try:
            future.set_result(self._runner.run(self._stop.stoppable(work)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it
            future.set_exception(error)

    def _serve(self) -> None:
        with self._runner:
            while (work := self._work.get()) is not None:
                work()
                del work  # or a result is held until the next


def _named(form: Callable[P, T], asked: Callable[..., object]) -> Callable[P, T]:
    form.__name__ = form.__qualname__ = name_of(asked)
    form.__doc__ = f"{(asked.__doc__ or '').rstrip()}{NOTE.format(name=asked.__name__)}"
    return form
