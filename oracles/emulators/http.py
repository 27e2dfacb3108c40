"""Any oracle as a server on this machine that speaks the protocol of `oracles.http`, with faults to rehearse.

How it works, and what holds:

1. A request to answer is numbered as it arrives. Its number and the seed alone decide its fate (`Faults`).
2. An image is billed when the oracle has answered it, whether or not the answer reaches the client: money is lost at
   just the points where it is lost at a vendor's. A wrong request (4xx) never reaches the oracle.
3. The bill (`HttpEmulator.bill`, GET /v1/bill) counts what happened here and knows nothing of the client's ledger.
4. It listens on loopback only and takes only application/json, which a page in a browser cannot send unasked.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import math
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra, OracleError, RateLimited, Rejected, UsageError
from oracles._wire import ANSWER_PATH, BILL_PATH, MODEL_PATH
from oracles._wire.answers import pack_answers
from oracles._wire.fields import WireError, dumps
from oracles._wire.images import split_images, unpack_image
from oracles._wire.model import pack_model
from oracles.emulators._faults import NO_FAULTS, Fate, Faults

try:
    from aiohttp import web
except ImportError as error:
    raise MissingExtra("http", "serving a model over HTTP", "aiohttp") from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any

    from bbquery.oracle import Oracle

__all__ = ["NO_FAULTS", "Bill", "Faults", "HttpEmulator", "serve"]

LARGEST_BODY = 64 * 2**20  # bytes
GOODBYE = 1.0  # seconds that open requests get when the server stops
JSON = "application/json"


@dataclass
class Bill:
    """What happened at the server.

    requests: to answer. images_received: in readable ones. images_answered: by the oracle, so billed. rate_limited:
    requests told 429. server_errors: told 5xx. dropped, truncated: by fault. rejected: told any other 4xx.
    """

    requests: int = 0
    images_received: int = 0
    images_answered: int = 0
    rate_limited: int = 0
    server_errors: int = 0
    dropped: int = 0
    truncated: int = 0
    rejected: int = 0


class HttpEmulator:
    """Serves `oracle`; closing the oracle stays with its owner.

    largest_body: bytes of a request, above which it is told 413. sleep: how latency passes.
    """

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        largest_body: int = LARGEST_BODY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.oracle, self.faults, self.bill = oracle, faults, Bill()
        self._largest_body, self._sleep = largest_body, sleep
        self._slots = asyncio.Semaphore(oracle.capabilities.limits.concurrency)

    @asynccontextmanager
    async def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen while the context is open, and give the URL; port 0 is any free one.

        Raises:
            UsageError: the host is not this machine's loopback, or the port cannot be had.
        """
        address = _loopback(host)
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=GOODBYE)
        await runner.setup()
        try:
            await _listen(runner, address, port)
            bound = runner.addresses[0][1]
            yield f"http://{f'[{address}]' if ':' in address else address}:{bound}"
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=self._largest_body, middlewares=[self._count_failures])
        application.router.add_get(MODEL_PATH, self._model)
        application.router.add_get(BILL_PATH, self._bill)
        application.router.add_post(ANSWER_PATH, self._answer)
        return application

    @web.middleware
    async def _count_failures(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPClientError:
            self.bill.rejected += 1
            raise
        except Exception:  # a bug in the oracle: the framework logs it and tells 500
            self.bill.server_errors += 1
            raise

    async def _model(self, _: web.Request) -> web.Response:
        return web.Response(body=pack_model(self.oracle.capabilities), content_type=JSON)

    async def _bill(self, _: web.Request) -> web.Response:
        return web.Response(body=dumps(asdict(self.bill)), content_type=JSON)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        fate = self.faults.fate(self.bill.requests)
        self.bill.requests += 1
        if fate.latency:
            await self._sleep(fate.latency)
        images = await self._images(request)
        if fate.kind == "rate_limited":
            return self._rate_limited("too many requests (a fault)", self.faults.retry_after)
        try:
            body = await self._asked(images) if fate.billed else b""
        except OracleError as failure:
            return self._failed(failure)
        return await self._sent(request, fate, body)

    async def _images(self, request: web.Request) -> list[str]:
        if request.content_type != JSON:
            raise web.HTTPUnsupportedMediaType(text=f"Content-Type must be {JSON}, not {request.content_type}")
        body = await request.read()
        try:
            images = split_images(body)
        except WireError as fault:
            raise _bad_request(str(fault)) from fault
        largest = self.oracle.capabilities.limits.largest_batch
        if len(images) > largest:
            raise _bad_request(f"{len(images)} images in a request; at most {largest}")
        self.bill.images_received += len(images)
        return images

    async def _asked(self, images: list[str]) -> bytes:
        """Run the oracle and return the body that carries its answers."""
        try:
            payloads = await asyncio.to_thread(lambda: [self._encoded(row, image) for row, image in enumerate(images)])
            async with self._slots:
                answers = await self.oracle.answer(payloads)
        except (WireError, UsageError) as fault:
            raise _bad_request(str(fault)) from fault
        self.bill.images_answered += sum(not isinstance(answer, OracleError) for answer in answers)
        return pack_answers(answers, self.oracle.capabilities.answers)

    def _encoded(self, row: int, image: str) -> Any:
        capabilities = self.oracle.capabilities
        try:
            pixels = unpack_image(image)
        except WireError as fault:
            raise WireError(f"image {row}: {fault}") from fault
        if capabilities.view.size not in (None, pixels.shape[:2]):
            raise WireError(f"image {row} is {pixels.shape[:2]} (height, width); send {capabilities.view.size}")
        return self.oracle.encode(capabilities.domain.realise(pixels))

    def _failed(self, failure: OracleError) -> web.Response:
        if isinstance(failure, RateLimited):
            return self._rate_limited(str(failure), failure.retry_after)
        if isinstance(failure, Rejected):
            self.bill.rejected += 1
            return _said(422, str(failure))
        self.bill.server_errors += 1
        return _said(502, str(failure))

    def _rate_limited(self, reason: str, retry_after: float | None) -> web.Response:
        self.bill.rate_limited += 1
        response = _said(429, reason)
        if retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(retry_after))  # the header takes whole seconds
        return response

    async def _sent(self, request: web.Request, fate: Fate, body: bytes) -> web.StreamResponse:
        if fate.kind == "server_error":
            self.bill.server_errors += 1
            return _said(fate.status, "the server failed (a fault)")
        if fate.kind == "dropped":
            self.bill.dropped += 1
            return _hung_up(request, web.Response())
        if fate.kind == "truncated":
            self.bill.truncated += 1
            return await _halved(request, body)
        return web.Response(body=body, content_type=JSON)


async def serve(
    oracle: Oracle,
    *,
    port: int,
    host: str = "127.0.0.1",
    faults: Faults = NO_FAULTS,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve `oracle` until cancelled; `ready` is told the URL once it can be asked.

    Raises:
        UsageError: the host is not this machine's loopback, or the port cannot be had.
    """
    async with HttpEmulator(oracle, faults).running(host=host, port=port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        local = ipaddress.ip_address(address).is_loopback
    except ValueError:
        local = False
    if not local:
        raise UsageError(f"an emulator listens on this machine only: host must be 127.0.0.1 or ::1, not {host!r}")
    return address


async def _listen(runner: web.AppRunner, address: str, port: int) -> None:
    if not 0 <= port <= 65535:
        raise UsageError(f"port must be 0 to 65535, not {port}")
    try:
        await web.TCPSite(runner, address, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use: choose another, or 0 for any free one") from error
        raise UsageError(f"cannot listen on port {port} of {address}: {error.strerror or error}") from error


def _said(status: int, reason: str) -> web.Response:
    return web.Response(status=status, body=dumps({"error": reason}), content_type=JSON)


def _bad_request(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=dumps({"error": reason}).decode(), content_type=JSON)


async def _halved(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    return _hung_up(request, response)


def _hung_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection under the response, which the framework still wants and can no longer send."""
    if request.transport is not None:
        request.transport.close()
    return response
