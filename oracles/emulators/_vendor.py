"""Base of emulators of vendors: a request is numbered, may go wrong, and is billed once the model has answered it.

1. A request is numbered as it arrives. Its number and the seed alone decide its fate (`Faults`), unless the rate limit,
   where there is one, turns it away first.
2. An answer is billed when the model has given it, whether or not it arrives: money is lost where it is lost at the
   vendor's. The bill counts by formulae of its own, and knows nothing of the client's ledger.
3. It listens on loopback only. A page in a browser, which could send what needs no leave, is turned away.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

from oracles._http.wire.fields import WireError, dumps, loads
from oracles.emulators import _server, _usage
from oracles.emulators._bill import Bill
from oracles.emulators._faults import SlidingLimit
from oracles.emulators._server import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from bbquery.oracle import Oracle
    from oracles.emulators._faults import Fate, Faults

Faults_contra = TypeVar("Faults_contra", contravariant=True)
LARGEST_BODY = 32 * 2**20  # bytes, as Anthropic's
BILL_PATH = "/bill"

Why: TypeAlias = Literal["invalid", "key", "unknown", "too large", "rate", "quota", "broken", "late", "overloaded"]
"""Why a request is refused, which each vendor says in its own way; late: it fails once the model has answered."""


class Refusal(Exception):
    """A request that is refused. wait: seconds after which to ask again, where that helps."""

    def __init__(self, why: Why, message: str, *, wait: float | None = None) -> None:
        self.why, self.wait = why, wait
        super().__init__(message)

    @property
    def retry_after(self) -> dict[str, str]:
        """The header that says how long to wait; none where waiting is no help."""
        return {} if self.wait is None or not math.isfinite(self.wait) else {"retry-after": str(math.ceil(self.wait))}


@dataclass(frozen=True)
class Answered:
    """An answer on its way: the JSON that says it, and what it costs in tokens and picodollars."""

    content: Any
    tokens: int = 0
    picodollars: int = 0


class VendorEmulator(ABC):
    """Serves a vendor's protocol; what is the vendor's own is in the methods that are abstract.

    key: the only one accepted; None accepts any, and none. largest_body: bytes of a request. sleep: how latency passes.
    clock: seconds that never go back. arrivals: when each request arrived.
    """

    paths: Sequence[str]
    """Where questions are posted, as aiohttp writes routes."""

    def __init__(
        self,
        faults: Faults,
        *,
        key: str | None = None,
        largest_body: int = LARGEST_BODY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bill, self.arrivals = Bill(), list[float]()
        self.usage = _usage.Usage(self.bill)
        self._shared_faults, self._key, self._largest_body = faults, key, largest_body
        self._sleep, self._clock = sleep, clock
        self._limit = SlidingLimit(faults.requests_per_minute, faults.window)

    @abstractmethod
    def sent_key(self, request: web.Request) -> str:
        """Return the key that a request carries, "" for none."""

    @abstractmethod
    def read(self, request: web.Request, body: bytes) -> Any:
        """Return what is asked.

        Raises:
            Refusal: the vendor would refuse it.
        """

    @abstractmethod
    async def answered(self, asked: Any, number: int, /) -> Answered:
        """Return the answer to request number `number`, counted from 0.

        Raises:
            Refusal: the image cannot be used, or the model failed.
        """

    @abstractmethod
    def refused(self, refusal: Refusal) -> tuple[int, Any]:
        """Return the status and the JSON with which the vendor refuses a request."""

    def waiting(self, refusal: Refusal, /) -> dict[str, str]:
        """Return the headers that say how long to wait."""
        return refusal.retry_after

    def headers(self, number: int) -> dict[str, str]:  # noqa: ARG002 - some vendors number their answers
        """Return what the vendor adds to the headers of a response."""
        return {}

    def rate(self) -> tuple[int, int, float] | None:
        """Return the requests allowed in a minute, those left, and the seconds until all are; None without limit."""
        now, most = self._clock(), self._shared_faults.requests_per_minute
        return None if not most else (round(most), self._limit.left(now), self._limit.reset(now))

    @asynccontextmanager
    async def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen while the context is open, and give the URL; port 0 is any free one.

        Raises:
            UsageError: the host is not this machine's loopback, or the port cannot be had.
        """
        application = web.Application(client_max_size=self._largest_body)
        application.router.add_get(BILL_PATH, self._show_bill)
        application.router.add_get(_usage.PATH, _server.reporting(self.usage))
        for path in self.paths:
            application.router.add_post(path, self._post)
        async with _server.listening(application, host=host, port=port) as url:
            yield url

    async def _show_bill(self, _: web.Request) -> web.Response:
        return web.Response(body=dumps(asdict(self.bill)), content_type=_server.JSON)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        now, number = self._clock(), self.bill.requests
        self.arrivals.append(now)
        self.bill.requests += 1
        try:
            self._admit(now)
            fate = self._shared_faults.fate(number)
            if fate.latency:
                await self._sleep(fate.latency)
            self._authorise(request)
            asked = await asyncio.to_thread(self.read, request, await self._body(request))
            self.bill.images_received += 1
            self._turn_away(fate)
            answered = await self.answered(asked, number) if fate.billed else None
        except Refusal as refusal:
            return self._say(refusal, number)
        if answered is not None:
            self.bill.images_answered += 1
            self.bill.tokens += answered.tokens
            self.bill.picodollars += answered.picodollars
        return await self._sent(request, fate, number, answered)

    def _admit(self, now: float) -> None:
        wait = self._limit.take(now)
        if wait:
            raise Refusal("rate", "too many requests", wait=wait)

    def _authorise(self, request: web.Request) -> None:
        if "Origin" in request.headers:
            raise Refusal("key", "this emulator answers no page of a browser")
        if self._key is not None and not hmac.compare_digest(self.sent_key(request).encode(), self._key.encode()):
            raise Refusal("key", f"invalid key {self.sent_key(request)}")

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as large:
            raise Refusal("too large", "the request is too large") from large

    def _turn_away(self, fate: Fate) -> None:
        if fate.kind == "rate_limited":
            raise Refusal("rate", "too many requests (a fault)", wait=self._shared_faults.retry_after)
        if fate.kind == "quota":
            raise Refusal("quota", "the account can pay no more (a fault)")
        if fate.kind == "server_error" and not fate.billed:
            raise Refusal("broken", "the server failed (a fault)")

    def _say(self, refusal: Refusal, number: int) -> web.Response:
        counted = {"rate": "rate_limited", "overloaded": "rate_limited", "quota": "quota"}
        counted |= dict.fromkeys(("broken", "late"), "server_errors")
        name = counted.get(refusal.why, "rejected")
        setattr(self.bill, name, getattr(self.bill, name) + 1)
        status, content = self.refused(refusal)
        headers = self.headers(number) | self.waiting(refusal)
        return web.Response(status=status, body=dumps(content), headers=headers, content_type=_server.JSON)

    async def _sent(
        self, request: web.Request, fate: Fate, number: int, answered: Answered | None
    ) -> web.StreamResponse:
        """Send an answer as its fate has it; there is none where the connection drops before the model is run."""
        if fate.kind == "server_error":
            return self._say(Refusal("late", "the server failed (a fault)"), number)
        self.bill.count(fate.kind)
        content = b"" if answered is None else dumps(answered.content)
        answer = web.Response(body=content, headers=self.headers(number), content_type=_server.JSON)
        seconds = self._shared_faults.drip_seconds
        return await _server.delivered(request, answer, fate.kind, seconds=seconds, sleep=self._sleep)


def json_of(request: web.Request, body: bytes) -> dict[str, Any]:
    """Return the object that a request's body is.

    Raises:
        Refusal: it is none, or is not said to be JSON.
    """
    if request.content_type != _server.JSON:
        raise Refusal("invalid", f"Content-Type must be {_server.JSON}, not {request.content_type}")
    try:
        return loads(body)
    except WireError as fault:
        raise Refusal("invalid", f"the body is not valid JSON: {fault}") from fault


class Serve(Protocol[Faults_contra]):
    """How an emulator is served, whichever vendor's it is. Each module of one has it as `serve`."""

    def __call__(
        self,
        oracle: Oracle,
        *,
        port: int,
        host: str = ...,
        faults: Faults_contra = ...,
        largest_body: int = ...,
        ready: Callable[[str], None] | None = ...,
    ) -> Coroutine[Any, Any, None]:
        """Serve `oracle` until cancelled; `ready` gets the URL once it can be asked."""


def serving(emulator: Callable[..., VendorEmulator], no_faults: Faults_contra) -> Serve[Faults_contra]:
    """Return the `serve` of an emulator, which is made of an oracle and faults."""

    async def serve(
        oracle: Oracle,
        *,
        port: int,
        host: str = "127.0.0.1",
        faults: Faults_contra = no_faults,
        largest_body: int = LARGEST_BODY,
        ready: Callable[[str], None] | None = None,
    ) -> None:
        """Serve `oracle` until cancelled; `ready` gets the URL once it can be asked.

        Raises:
            UsageError: the oracle gives no probabilities, the host is not this machine's loopback, or the port is
                taken.
        """
        async with emulator(oracle, faults, largest_body=largest_body).running(host=host, port=port) as url:
            if ready is not None:
                ready(url)
            await asyncio.Event().wait()

    return serve
