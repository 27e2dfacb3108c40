"""Google Cloud Vision on this machine: a real gRPC server that Google's unmodified client talks to, with faults.

The names and scores are those of the oracle it serves (EfficientNet by default), so that a run has something
real to explain; it does not see as Google's models do. Boxes are the oracle's where it gives any, else around what
stands out; faces and unsafe content are guessed from colours (`oracles.emulators._google_vision_sight`).

How it works, and what holds:

1. A call is numbered as it arrives. Its number and the seed alone decide its fate (`Faults`), unless it is turned away
   first: by the rate limit, where there is one, or as Google would, for more than 16 images, for asking for nothing, or
   for its credentials (none are given out here, so any are wrong).
2. A feature of an image is billed when the oracle has answered it, whether or not the answer reaches the client, and
   also where the image then fails alone: money is lost at just the points where it may be lost at Google's. The work
   goes on when a client stops waiting. An image that cannot be read gets an error of its own and is not billed.
3. The bill counts what happened here, by the published prices (or one of your own), without the free units of a month
   and without the lower prices from five million units on; it knows nothing of the client's ledger.
4. In gRPC's terms the faults are: rate_limited and quota: RESOURCE_EXHAUSTED with Google's details. server_error:
   INTERNAL or UNAVAILABLE. timeout: silence until the deadline. dropped: the connection is broken, with all calls that
   are on it. truncated: the same, after half of the answer. junk: a success that is no message of the API. drip: the
   answer comes late by `drip_seconds`, since gRPC hands messages over whole. item_error: INTERNAL for that image.
   requests_per_minute counts images, as the tighter of Google's quotas does.
5. It listens on loopback only.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bbquery.errors import OracleError, QuotaExceeded, RateLimited, Rejected
from oracles._google_vision.vendor import grpc, vision_v1
from oracles.emulators import _bill, _usage
from oracles.emulators._faults import NO_FAULTS, Fate, Faults, SlidingLimit
from oracles.emulators._google_vision_annotations import FEATURES, annotate, check_answers, entities, name_of
from oracles.emulators._google_vision_model import ImageOracle, Looked
from oracles.emulators._google_vision_refusals import Refusal, invalid, quota_exceeded, rate_limited
from oracles.emulators._google_vision_relay import Relay, relaying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bbquery.oracle import Oracle

__all__ = ["NO_FAULTS", "Bill", "Faults", "GoogleVisionEmulator", "serve"]

METHOD = "BatchAnnotateImages"
SERVICE = "google.cloud.vision.v1.ImageAnnotator"
MOST_IMAGES = 16
OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # unlimited; 4 MB by default, which a batch exceeds
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)
GOODBYE = 1.0  # seconds that open calls get when the server stops
JUNK = b"\xff\xff\xff\xff no message of protocol buffers"
# Picodollars (10**12 to the dollar) a unit, a unit being one feature of one image: cloud.google.com/vision/pricing,
# read on 2026-04-13 (a copy of it on 2026-11-30), for the units 1,001 to 5,000,000 of a month: 1.50 dollars a thousand,
# 2.25 of objects and 3.50 of the web. Safe search that comes with labels of the same image is free there, not here.
PRICES = dict.fromkeys(FEATURES, 1_500_000_000) | {"OBJECT_LOCALIZATION": 2_250_000_000, "WEB_DETECTION": 3_500_000_000}


@dataclass
class Bill(_bill.Bill):
    """What happened at the server: to `requests`, which are calls.

    units: each feature of each answered image. picodollars: what the units cost. tokens: none, ever. The other counts
    are those of every emulator; `rate_limited` and `quota` were answered RESOURCE_EXHAUSTED.
    """

    units: Counter[str] = field(default_factory=Counter)


class GoogleVisionEmulator:
    """Serves `oracle`; closing the oracle stays with its owner.

    usd_per_thousand: dollars for 1,000 units of any feature; the published prices if not given. sleep: how latency and
    drips pass. clock: seconds that never go back, for the rate limit and for `arrivals`, which has one entry for each
    image.

    Raises:
        UsageError: the oracle's answers cannot be given as labels, or usd_per_thousand is not an amount.
    """

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        usd_per_thousand: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_answers(oracle.capabilities)
        self.oracle, self.faults, self.bill = oracle, faults, Bill()
        self.usage = _usage.Usage(self.bill)
        self.arrivals: list[float] = []
        self._prices = PRICES if usd_per_thousand is None else _prices(usd_per_thousand)
        self._sleep, self._clock = sleep, clock
        self._limit = SlidingLimit(faults.requests_per_minute, faults.window)
        self._model = ImageOracle(oracle)
        self._work: set[asyncio.Task[bytes]] = set()

    @asynccontextmanager
    async def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen while the context is open, and give the URL; port 0 is any free one.

        Raises:
            UsageError: the host is not this machine's loopback, or the port cannot be had.
        """
        server = grpc.aio.server(options=OPTIONS)
        inner = server.add_insecure_port("127.0.0.1:0")
        async with relaying(inner, self.usage, host=host, port=port) as (relay, address):
            server.add_generic_rpc_handlers((self._handlers(relay),))
            await server.start()
            try:
                yield f"http://{address}"
            finally:
                await relay.aclose()
                await server.stop(GOODBYE)
                await self._end_work()

    def _handlers(self, relay: Relay) -> grpc.GenericRpcHandler:
        async def call(request: Any, context: grpc.aio.ServicerContext) -> bytes:
            try:
                return await self._called(request, context, relay)
            except Refusal as refusal:
                return refusal.tell(context)

        deserializer = vision_v1.BatchAnnotateImagesRequest.pb().FromString
        # No serializer: bytes are sent as they are, so that junk can be sent too.
        handler = grpc.unary_unary_rpc_method_handler(call, request_deserializer=deserializer)
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})

    async def _called(self, request: Any, context: grpc.aio.ServicerContext, relay: Relay) -> bytes:
        number = self.bill.requests
        self.bill.requests += 1
        self.arrivals += [self._clock()] * len(request.requests)
        fate = self.faults.fate(number)
        work = asyncio.create_task(self._worked(request, dict(context.invocation_metadata()), number, fate))
        self._work.add(work)
        work.add_done_callback(self._done)
        response = await asyncio.shield(work)  # a client that stops waiting does not stop the work
        return await self._sent(response, fate, context, relay)

    def _done(self, work: asyncio.Task[bytes]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # where nobody waits any more, it is no news

    async def _end_work(self) -> None:
        for work in self._work:
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _worked(self, request: Any, metadata: dict[str, Any], number: int, fate: Fate) -> bytes:
        """Return the response; empty where the oracle is not asked.

        Raises:
            Refusal: the call is not answered.
        """
        if fate.latency:
            await self._sleep(fate.latency)
        self._refuse_wrong(request, metadata)
        self.bill.images_received += len(request.requests)
        self._refuse_excess(fate, len(request.requests))
        if not fate.billed:
            return b""
        response = vision_v1.BatchAnnotateImagesResponse.pb()()
        response.responses.extend(await self._annotated(request.requests, number))
        encoded: bytes = response.SerializeToString()
        return encoded

    def _refuse_wrong(self, request: Any, metadata: dict[str, Any]) -> None:
        refusal = _wrong(request, metadata)
        if refusal is not None:
            self.bill.rejected += 1
            raise refusal

    def _refuse_excess(self, fate: Fate, images: int) -> None:
        wait = self._limit.take(self._clock(), images)
        if wait:
            raise self._rate_limited(wait)
        if fate.kind == "rate_limited":
            raise self._rate_limited(self.faults.retry_after)
        if fate.kind == "quota":
            raise self._out_of_quota()

    def _rate_limited(self, retry_after: float | None) -> Refusal:
        self.bill.rate_limited += 1
        return rate_limited(retry_after)

    def _out_of_quota(self) -> Refusal:
        self.bill.quota += 1
        return quota_exceeded()

    async def _annotated(self, requests: Sequence[Any], number: int) -> list[Any]:
        """Return one AnnotateImageResponse for each image, and bill what the oracle answered.

        Raises:
            Refusal: the oracle failed; said in gRPC's terms.
        """
        try:
            looked = await self._model.asked([one.image.content for one in requests])
        except OracleError as failure:
            raise self._failed(failure) from failure
        return [
            self._annotation(one, seen, number, row)
            for row, (one, seen) in enumerate(zip(requests, looked, strict=True))
        ]

    def _failed(self, failure: OracleError) -> Refusal:
        if isinstance(failure, RateLimited):
            return self._rate_limited(failure.retry_after)
        if isinstance(failure, QuotaExceeded):
            return self._out_of_quota()
        if isinstance(failure, Rejected):
            self.bill.rejected += 1
            return invalid(str(failure))
        self.bill.server_errors += 1
        return Refusal(grpc.StatusCode.INTERNAL, str(failure))

    def _annotation(self, request: Any, looked: Looked | None, number: int, row: int) -> Any:
        response = vision_v1.AnnotateImageResponse.pb()()
        if looked is None:
            return _with_error(response, grpc.StatusCode.INVALID_ARGUMENT, "Bad image data.")
        reply = looked.reply
        if isinstance(reply, OracleError):
            return _with_error(response, grpc.StatusCode.INTERNAL, str(reply))
        self._charge(request)
        if self.faults.item_fails(number, row):
            self.bill.images_failed += 1
            return _with_error(response, grpc.StatusCode.INTERNAL, "Internal server error. Failed to process features.")
        found = entities(reply.answer, self.oracle.capabilities.classes)
        for feature in request.features:
            annotate(response, feature, found, looked.sight)
        return response

    def _charge(self, request: Any) -> None:
        self.bill.images_answered += 1
        for feature in request.features:
            name = name_of(feature)
            self.bill.units[name] += 1
            self.bill.picodollars += self._prices[name]

    async def _sent(self, response: bytes, fate: Fate, context: grpc.aio.ServicerContext, relay: Relay) -> bytes:
        self.bill.count(fate.kind)
        match fate.kind:
            case "server_error":
                code = grpc.StatusCode.INTERNAL if fate.status == 500 else grpc.StatusCode.UNAVAILABLE
                raise Refusal(code, "the server failed (a fault)")
            case "timeout":
                await asyncio.Event().wait()  # cancelled when the deadline has passed
            case "dropped":
                relay.cut(context.peer())
            case "truncated":
                relay.cut(context.peer(), after=max(1, len(response) // 2))
            case "junk":
                return JUNK
            case "drip":
                await self._sleep(self.faults.drip_seconds)
        return response


async def serve(
    oracle: Oracle,
    *,
    port: int,
    host: str = "127.0.0.1",
    faults: Faults = NO_FAULTS,
    usd_per_thousand: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve `oracle` until cancelled, as `GoogleVisionEmulator` does; `ready` gets the URL once it can be asked.

    Raises:
        UsageError: the host is not this machine's loopback, the port cannot be had, the oracle cannot be served, or the
            price is no amount.
    """
    emulator = GoogleVisionEmulator(oracle, faults, usd_per_thousand=usd_per_thousand)
    async with emulator.running(host=host, port=port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


def _prices(usd_per_thousand: str) -> dict[str, int]:
    return dict.fromkeys(PRICES, _bill.picodollars(usd_per_thousand, "usd_per_thousand", 1000))


def _wrong(request: Any, metadata: dict[str, Any]) -> Refusal | None:
    """Return why a call is refused for good, whatever its fate."""
    if "authorization" in metadata:
        return Refusal(grpc.StatusCode.UNAUTHENTICATED, "invalid credentials: this emulator has given out none")
    if not request.requests:
        return invalid("Request must have at least one image.")
    if len(request.requests) > MOST_IMAGES:
        return invalid(f"Too many images per request: {len(request.requests)}; at most {MOST_IMAGES}.")
    if any(not one.features for one in request.requests):
        return invalid("No feature is asked of an image.")
    unknown = sorted({name_of(feature) for one in request.requests for feature in one.features} - set(FEATURES))
    if unknown:
        return Refusal(grpc.StatusCode.UNIMPLEMENTED, f"the emulator knows {', '.join(FEATURES)}, not {unknown[0]}")
    return None


def _with_error(response: Any, code: grpc.StatusCode, message: str) -> Any:
    response.error.code, response.error.message = code.value[0], message
    return response
