"""Time limits of OpenAI's oracle that end once a server has fallen silent, in place of seconds: whatever the load."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import patch

from oracles._openai import endpoint
from oracles.emulators import _server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp import web

_running: set[asyncio.Timeout] = set()


def fall_silent() -> None:
    """End the time of every attempt that waits."""
    for limit in _running:
        limit.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def _until_silence(_: float) -> AsyncIterator[None]:
    async with asyncio.timeout(None) as limit:
        _running.add(limit)
        try:
            yield
        finally:
            _running.discard(limit)


@contextmanager
def limits_end_in_silence() -> Iterator[None]:
    """Let the oracle's attempts last until `fall_silent`, which emulators call where they say nothing."""
    silent = _server._silent

    async def falling_silent(request: web.Request) -> web.StreamResponse:
        fall_silent()
        return await silent(request)

    limits = SimpleNamespace(timeout=_until_silence)
    with patch.object(endpoint, "asyncio", limits), patch.object(_server, "_silent", falling_silent):
        yield
