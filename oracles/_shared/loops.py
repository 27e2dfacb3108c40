"""Resources of an event loop: one for each loop, closed in that loop.

An oracle may be asked in one loop after another (each `bbquery.explain` runs its own) or in several threads at once,
and whoever asks last rarely knows it. So what was not closed by then is closed as its loop ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Open(NamedTuple, Generic[T]):
    resource: T
    until_closed: AsyncGenerator[None]


class OnePerLoop(Generic[T]):
    """Holds at most one open resource for each event loop. close: how one is closed, in the loop it was opened in."""

    def __init__(self, close: Callable[[T], Awaitable[object]]) -> None:
        self._close = close
        self._opened: dict[asyncio.AbstractEventLoop, _Open[T]] = {}

    async def here(self, opened: Callable[[], T]) -> T:
        """Return the running loop's resource, made by `opened` where there is none; what that raises, this raises."""
        loop = asyncio.get_running_loop()
        if loop not in self._opened:
            resource = opened()
            self._opened[loop] = _Open(resource, self._until_closed(loop, resource))
            # A loop remembers the asynchronous generators that were begun in it, and closes them before it ends
            # (`loop.shutdown_asyncgens`, which asyncio.run sees to). Beginning one does not let other tasks run.
            await anext(self._opened[loop].until_closed)
        return self._opened[loop].resource

    async def aclose(self) -> None:
        """Close the running loop's resource, where there is one; the next time it is needed another one is opened."""
        opened = self._opened.get(asyncio.get_running_loop())
        if opened is not None:
            await opened.until_closed.aclose()

    async def _until_closed(self, loop: asyncio.AbstractEventLoop, resource: T) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            del self._opened[loop]  # before closing, which lets other tasks run
            await self._close(resource)
