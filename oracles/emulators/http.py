"""Any oracle as a server on this machine that speaks the protocol of `oracles.http`, with faults to rehearse.

How it works, and what holds:

1. A request to answer is numbered and noted with its time as it arrives. Its number and the seed alone decide its fate
   (`Faults`), unless the rate limit, where there is one, turns it away first.
2. An image is billed when the oracle has answered it, whether or not the answer reaches the client: money is lost at
   just the points where it is lost at a vendor's. A wrong request (4xx) never reaches the oracle.
3. The bill (`HttpEmulator.bill`, GET /v1/bill) counts what happened here and knows nothing of the client's ledger.
4. It listens on loopback only and takes only application/json, which a page in a browser cannot send unasked.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from bbquery.errors import OracleError, QuotaExceeded, RateLimited, Rejected, UsageError
from oracles._http.wire import ANSWER_PATH, BILL_PATH, MODEL_PATH
from oracles._http.wire.answers import pack_answers
from oracles._http.wire.fields import WireError, dumps
from oracles._http.wire.images import split_images, unpack_image
from oracles._http.wire.model import pack_model
from oracles.emulators import _usage
from oracles.emulators._bill import Bill, picodollars
from oracles.emulators._faults import NO_FAULTS, Fate, Faults, SlidingLimit
from oracles.emulators._server import JSON, delivered, listening, reporting, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from typing import Any

    from bbquery.oracle import Oracle
    from bbquery.types import Reply

__all__ = ["NO_FAULTS", "Bill", "Faults", "HttpEmulator", "serve"]

LARGEST_BODY = 64 * 2**20  # bytes
FREE = "0"


class HttpEmulator:
    """Serves `oracle`; closing the oracle stays with its owner.

    usd_per_image: dollars for an answered image. largest_body: bytes of a request, above which it is answered 413.
    sleep: how latency and drips pass. clock: seconds that never go back, for the rate limit and `arrivals`.

    Raises:
        UsageError: usd_per_image is not an amount.
    """

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        usd_per_image: str = FREE,
        largest_body: int = LARGEST_BODY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.oracle, self.faults, self.bill = oracle, faults, Bill()
        self.usage = _usage.Usage(self.bill)
        self.arrivals: list[float] = []
        self._price = picodollars(usd_per_image, "usd_per_image")
        self._largest_body, self._sleep, self._clock = largest_body, sleep, clock
        self._limit = SlidingLimit(faults.requests_per_minute, faults.window)
        self._slots = asyncio.Semaphore(oracle.capabilities.limits.concurrency)

    @asynccontextmanager
    async def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen while the context is open, and give the URL; port 0 is any free one.

        Raises:
            UsageError: the host is not this machine's loopback, or the port cannot be had.
        """
        async with listening(self._application(), host=host, port=port) as url:
            yield url

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=self._largest_body, middlewares=[self._count_failures])
        application.router.add_get(MODEL_PATH, self._model)
        application.router.add_get(BILL_PATH, self._bill)
        application.router.add_get(_usage.PATH, reporting(self.usage))
        application.router.add_post(ANSWER_PATH, self._answer)
        application.on_response_prepare.append(self._tell_limit)
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

    async def _tell_limit(self, _: web.Request, response: web.StreamResponse) -> None:
        if self.faults.requests_per_minute:
            now = self._clock()
            response.headers["x-ratelimit-limit-requests"] = f"{self.faults.requests_per_minute:.0f}"
            response.headers["x-ratelimit-remaining-requests"] = str(self._limit.left(now))
            response.headers["x-ratelimit-reset-requests"] = f"{self._limit.reset(now):.3f}s"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        now, number = self._clock(), self.bill.requests
        self.arrivals.append(now)
        self.bill.requests += 1
        wait = self._limit.take(now)
        if wait:
            return self._rate_limited("too many requests", wait)
        fate = self.faults.fate(number)
        if fate.latency:
            await self._sleep(fate.latency)
        images = await self._images(request)
        if fate.kind == "rate_limited":
            return self._rate_limited("too many requests (a fault)", self.faults.retry_after)
        if fate.kind == "quota":
            return self._out_of_quota("the quota is used up (a fault)")
        try:
            body = await self._asked(number, images) if fate.billed else b""
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

    async def _asked(self, number: int, images: list[str]) -> bytes:
        """Run the oracle and return the body that carries its answers."""
        try:
            payloads = await asyncio.to_thread(lambda: [self._encoded(row, image) for row, image in enumerate(images)])
            async with self._slots:
                replies = await self.oracle.answer(payloads)
        except (WireError, UsageError) as fault:
            raise _bad_request(str(fault)) from fault
        replies = self._some_fail(number, replies)
        answered = sum(not isinstance(reply, OracleError) for reply in replies)
        self.bill.images_answered += answered
        self.bill.picodollars += answered * self._price
        return pack_answers(replies, self.oracle.capabilities.answers)

    def _some_fail(self, number: int, replies: Sequence[Reply | OracleError]) -> list[Reply | OracleError]:
        """Put a failure, which is not billed, in place of the replies whose fate it is."""
        failing = [self.faults.item_fails(number, row) for row in range(len(replies))]
        self.bill.images_failed += sum(failing)
        failure = OracleError("the image failed (a fault)", oracle=self.oracle.capabilities.name)
        return [failure if fails else reply for fails, reply in zip(failing, replies, strict=True)]

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
        if isinstance(failure, QuotaExceeded):
            return self._out_of_quota(str(failure))
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

    def _out_of_quota(self, reason: str) -> web.Response:
        self.bill.quota += 1
        return _said(429, reason, code="quota")

    async def _sent(self, request: web.Request, fate: Fate, body: bytes) -> web.StreamResponse:
        self.bill.count(fate.kind)
        if fate.kind == "server_error":
            return _said(fate.status, "the server failed (a fault)")
        answer = web.Response(body=body, content_type=JSON)
        return await delivered(request, answer, fate.kind, seconds=self.faults.drip_seconds, sleep=self._sleep)


async def serve(
    oracle: Oracle,
    *,
    port: int,
    host: str = "127.0.0.1",
    faults: Faults = NO_FAULTS,
    usd_per_image: str = FREE,
    largest_body: int = LARGEST_BODY,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve `oracle` until cancelled, as `HttpEmulator` does; `ready` gets the URL once it can be asked.

    Raises:
        UsageError: the host is not this machine's loopback, the port cannot be had, or the price is no amount.
    """
    emulator = HttpEmulator(oracle, faults, usd_per_image=usd_per_image, largest_body=largest_body)
    async with emulator.running(host=host, port=port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


def _said(status: int, reason: str, **more: str) -> web.Response:
    return web.Response(status=status, body=dumps({"error": reason, **more}), content_type=JSON)


def _bad_request(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=dumps({"error": reason}).decode(), content_type=JSON)
