"""The synchronous forms of the public calls: same name without `_async`, same options, same help."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

P = ParamSpec("P")
T = TypeVar("T")

SUFFIX = "_async"
NOTE = """

    This is the synchronous form of `{name}`. Inside a running event loop it raises UsageError: use that one there.
    """


def synchronous(asked: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the synchronous form of a coroutine function whose name ends in `_async`."""

    @functools.wraps(asked)
    def form(*arguments: P.args, **options: P.kwargs) -> T:
        _refuse_in_a_loop(f"await bbquery.{asked.__name__}(...)")
        return asyncio.run(asked(*arguments, **options))

    return _named(form, asked)


def synchronous_iterator(asked: Callable[P, AsyncGenerator[T, None]]) -> Callable[P, Iterator[T]]:
    """Return the synchronous form of an asynchronous generator function whose name ends in `_async`.

    The generator is closed with the iterator, however the caller leaves it; nothing is kept of what it gave.
    """
    instead = f"async for result in bbquery.{asked.__name__}(...)"

    @functools.wraps(asked)
    def form(*arguments: P.args, **options: P.kwargs) -> Iterator[T]:
        _refuse_in_a_loop(instead)
        return _iterated(asked(*arguments, **options), instead)

    return _named(form, asked)


def _iterated(results: AsyncGenerator[T, None], instead: str) -> Iterator[T]:
    _refuse_in_a_loop(instead)  # one made outside a loop may be begun inside one
    with asyncio.Runner() as runner:
        try:
            while found := runner.run(_next(results)):
                yield found.pop()
        finally:
            runner.run(_closed(results))


async def _next(results: AsyncGenerator[T, None]) -> list[T]:
    """Return the next result; an empty list after the last."""
    try:
        return [await anext(results)]
    except StopAsyncIteration:
        return []


async def _closed(results: AsyncGenerator[T, None]) -> None:
    await results.aclose()


def _refuse_in_a_loop(instead: str) -> None:
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError(f"an event loop is running: use '{instead}'")


def _named(form: Callable[P, T], asked: Callable[..., object]) -> Callable[P, T]:
    form.__name__ = form.__qualname__ = asked.__name__.removesuffix(SUFFIX)
    form.__doc__ = f"{(asked.__doc__ or '').rstrip()}{NOTE.format(name=asked.__name__)}"
    return form
