"""Base of emulators that speak HTTP: listening on this machine, and failing in the middle of an answer."""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra, UsageError
from oracles.emulators import _usage
from oracles.emulators._address import checked_port, is_own_address, loopback

try:
    from aiohttp import web
except ImportError as error:
    raise MissingExtra("http", "serving a model over HTTP", "aiohttp") from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from oracles.emulators._faults import Kind

__all__ = ["JSON", "delivered", "listening", "reporting", "web"]

GOODBYE = 1.0  # seconds that open requests get when the server stops
JSON = "application/json"
JUNK = b'{"answers": [{"probabilities": [0.25, '  # a success that is no JSON
DROPS = 10  # that an answer comes in when it drips
HEARTBEAT = 0.02  # seconds between looks at whether a client is still there


@asynccontextmanager
async def listening(application: web.Application, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve `application` while the context is open, and give the URL; port 0 is any free one.

    Raises:
        UsageError: the host is not this machine's loopback, or the port cannot be had.
    """
    address = loopback(host)
    application.middlewares.insert(0, _own_host_only)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=GOODBYE)
    await runner.setup()
    try:
        await _listen(runner, address, checked_port(port))
        bound = runner.addresses[0][1]
        yield f"http://{f'[{address}]' if ':' in address else address}:{bound}"
    finally:
        await runner.cleanup()


@web.middleware
async def _own_host_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests to another host's name: a web page's, whose name was made to lead to this machine."""
    host = request.headers.get("Host")
    if host is not None and not is_own_address(host):
        said = {"error": {"message": f"this emulator serves this machine only, not the host {host!r}"}}
        return web.json_response(said, status=421)
    return await handler(request)


async def _listen(runner: web.AppRunner, address: str, port: int) -> None:
    try:
        await web.TCPSite(runner, address, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use: choose another, or 0 for any free one") from error
        raise UsageError(f"cannot listen on port {port} of {address}: {error.strerror or error}") from error


def reporting(usage: _usage.Usage) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler that gives a server's usage report."""

    async def report(request: web.Request) -> web.StreamResponse:
        return web.Response(text=usage.csv(request.host), content_type=_usage.TYPE)

    return report


async def delivered(
    request: web.Request,
    answer: web.Response,
    kind: Kind,
    *,
    seconds: float = 1.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> web.StreamResponse:
    """Deliver an answer as its fate wants: whole, half, as junk, in drops over `seconds`, or not at all."""
    match kind:
        case "timeout":
            return await _silent(request)
        case "dropped":
            return _hung_up(request, web.Response())
        case "truncated":
            return await _halved(request, answer)
        case "junk":
            return web.Response(body=JUNK, content_type=JSON)
        case "drip":
            return await _dripped(request, answer, seconds, sleep)
    return answer


def _hung_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection under the response, which the framework still wants and can no longer send."""
    if request.transport is not None:
        request.transport.close()
    return response


async def _halved(request: web.Request, answer: web.Response) -> web.StreamResponse:
    response, body = await _begun(request, answer)
    await response.write(body[: len(body) // 2])
    return _hung_up(request, response)


async def _dripped(
    request: web.Request, answer: web.Response, seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> web.StreamResponse:
    response, body = await _begun(request, answer)
    size = -(-len(body) // DROPS) or 1
    for start in range(0, len(body), size):
        await sleep(seconds / DROPS)
        await response.write(body[start : start + size])
    await response.write_eof()
    return response


async def _silent(request: web.Request) -> web.StreamResponse:
    """Say nothing until the client has gone."""
    while request.transport is not None:  # noqa: ASYNC110 - aiohttp tells nobody that a connection is lost
        await asyncio.sleep(HEARTBEAT)
    return web.Response()


async def _begun(request: web.Request, answer: web.Response) -> tuple[web.StreamResponse, bytes]:
    body = answer.body if isinstance(answer.body, bytes) else b""
    headers = {**answer.headers, "Content-Length": str(len(body))}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    return response, body
