"""One attempt at the vendor's API through the vendor's own client, its retries off.

The client's `post` with bytes is used rather than `create`: the same connections, headers and errors, without the two
fifths of its time that `create` spends on walking typed dictionaries. Redirects are not followed, since a POST would
be sent again, and idle connections are closed before servers close them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import httpx2
import openai

from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, Rejected, Unreachable, UsageError
from bbquery.types import NoAnswer
from oracles._http import bodies, refusals
from oracles._http.bodies import Unpacker, UnreadableBody
from oracles._http.connections import AT_ONCE, IDLE, seconds_to_connect
from oracles._http.rates import rate_seen
from oracles._http.tls import advice
from oracles._http.url import names_this_machine, proxy_for
from oracles._openai import failure
from oracles._shared.loops import OnePerLoop
from oracles._shared.texts import shortened

if TYPE_CHECKING:
    from bbquery.oracle import RateSeen
    from oracles._shared.key import Key

T = TypeVar("T")
Ask: TypeAlias = Callable[[openai.AsyncOpenAI, dict[str, Any]], Awaitable[T]]
Opened: TypeAlias = Callable[[openai.AsyncOpenAI, dict[str, Any]], AbstractAsyncContextManager[Any]]

PIECE = 2**18  # bytes written in one go of what is longer
FILE = "/content"  # how the path of a batch's results ends


@dataclass(eq=False)
class OpenAIEndpoint:
    """A server and how it is asked.

    url: where its API begins, without a trailing slash. key: None sends none. timeout: seconds for a whole attempt.
    connections: at once, at most. name: who failed, in errors. model, optional: for advice, the latter what to do about
    fields of the request that need not be sent. clock: seconds since the epoch, to read a Retry-After that is a date
    where the server does not say when it answers. rate_seen: what the last response said of rate limits.
    """

    url: str
    key: Key | None
    timeout: float
    connections: int
    name: str
    model: str
    optional: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)
    rate_seen: RateSeen | None = field(default=None, repr=False)
    _clients: OnePerLoop[openai.AsyncOpenAI] = field(
        default_factory=lambda: OnePerLoop(openai.AsyncOpenAI.close), init=False, repr=False
    )

    def check_key(self) -> None:
        """See that the key is set, where one is sent.

        Raises:
            KeyMissing: it is unset. UsageError: it holds what an HTTP header cannot carry.
        """
        if self.key is not None:
            self.key.read()

    async def post(self, path: str, body: bytes) -> bytes | NoAnswer:
        """Send one request and return the body of a success; or that the vendor will not answer it.

        Raises:
            UsageError: the key is unset, or SSL_CERT_FILE names what cannot be read; nothing was sent. Unreachable,
                RateLimited, QuotaExceeded, Rejected, OutcomeUnknown: as `oracles._openai.failure` says.
        """
        client = await self._clients.here(self._new_client)
        failed: OracleError | NoAnswer
        try:
            response = await self._sent(client, path, body)
        except Exception as error:  # noqa: BLE001 - whatever is raised once a request may have left, it may be billed
            failed = self._failed("POST", path, error, self.timeout)
        else:
            self._learn(response)
            return self.hide_in_answer(response.content)
        if isinstance(failed, NoAnswer):
            return failed
        raise failed  # here, not above: what a server said may echo the key, so it is no part of this error

    async def asked(self, method: str, path: str, ask: Ask[T], *, within: float | None = None) -> T:
        """Return what `ask` makes of the vendor's client and the headers to send with each of its calls.

        method, path: of what it calls, for errors. within: seconds, if not the time of an attempt.

        Raises:
            UsageError: the key is unset; nothing was sent. OracleError: as `oracles._openai.failure` says.
        """
        client = await self._clients.here(self._new_client)
        seconds = self.timeout if within is None else within
        try:
            async with asyncio.timeout(seconds):
                return await ask(client, self._headers())
        except Exception as error:  # noqa: BLE001 - as above
            failed = self._error(self._failed(method, path, error, seconds))
        raise failed  # here, not above: see `post`

    async def streamed(self, path: str, opened: Opened) -> AsyncIterator[bytes]:
        """Give the body of a long answer piece by piece, as it comes; the time of an attempt is that for each piece.

        Raises:
            UsageError: the key is unset; nothing was sent. OracleError: as `oracles._openai.failure` says.
        """
        client = await self._clients.here(self._new_client)
        try:
            async with opened(client, self._headers()) as response:
                async for piece in response.iter_bytes():
                    yield piece
        except Exception as error:  # noqa: BLE001 - as above
            failed = self._error(self._failed("GET", path, error, self.timeout))
        else:
            return
        raise failed  # here, not above: see `post`

    def hide(self, said: str) -> str:
        """Return text without the key."""
        return said if self.key is None else self.key.hide(said)

    def hide_in_answer(self, body: bytes) -> bytes:
        """Return the body of an answer without the key."""
        return body if self.key is None else self.key.hide_in_answer(body)

    async def _sent(self, client: openai.AsyncOpenAI, path: str, body: bytes) -> httpx2.Response:
        headers = self._headers()
        async with asyncio.timeout(self.timeout):
            if len(body) <= AT_ONCE:
                return await client.post(path, content=body, options={"headers": headers}, cast_to=httpx2.Response)
            headers["Content-Length"] = str(len(body))
            return await client.post(path, content=_pieces(body), options={"headers": headers}, cast_to=httpx2.Response)

    def _headers(self) -> dict[str, Any]:
        return {} if self.key else {"Authorization": openai.Omit()}

    def _learn(self, response: httpx2.Response) -> None:
        self.rate_seen = rate_seen(response.headers, self.clock()) or self.rate_seen

    def _failed(self, method: str, path: str, error: Exception, seconds: float) -> OracleError | NoAnswer:
        """Return what an attempt that raised `error` came to; seconds: that it was given."""
        if isinstance(error, openai.APIStatusError):
            self._learn(error.response)
            return self._refused(f"{method} {path}", error)
        return self._broken(path, error, seconds)

    def _error(self, failed: OracleError | NoAnswer) -> OracleError:
        """Return a failure to answer as the error it is where no answer was asked for."""
        return Rejected(failed.reason, oracle=self.name) if isinstance(failed, NoAnswer) else failed

    def _refused(self, request: str, error: openai.APIStatusError) -> OracleError | NoAnswer:
        status, complaint = error.status_code, _complaint(error.response, self.hide_in_answer)
        reason = shortened(complaint.message) or error.response.reason_phrase or "no reason given"
        said = self.hide(f"{request} gave {status}: {reason}")
        variable = None if self.key is None else self.key.variable
        wait = failure.wait(error.response.headers, self.clock())
        found = refusals.outcome(complaint, said, oracle=self.name, status=status, wait=wait)
        if isinstance(found, NoAnswer):
            return found
        said += failure.advice(
            status, complaint, model=self.model, url=self.url, variable=variable, optional=self.optional
        )
        return refusals.outcome(complaint, said, oracle=self.name, status=status, wait=wait)

    def _broken(self, path: str, error: Exception, seconds: float) -> OracleError:
        if (unreadable := failure.cause_of(error, UnreadableBody)) is not None:
            return MalformedAnswer(f"the answer of {self.url}{path} cannot be read: {unreadable}", oracle=self.name)
        if failure.nothing_was_sent(error):
            why = failure.reason(error, self.hide)
            return Unreachable(self.hide(f"cannot connect to {self.url}: {why}{advice(why)}"), oracle=self.name)
        if isinstance(error, TimeoutError):
            return OutcomeUnknown(f"no answer from {self.url}{path} within {seconds:g} s", oracle=self.name)
        return OutcomeUnknown(
            self.hide(f"{self.url}{path} broke off ({failure.reason(error, self.hide)})"), oracle=self.name
        )

    def _new_client(self) -> openai.AsyncOpenAI:
        proxy_for(self.url)  # says what a proxy must be; the vendor's package finds it in the same places
        connect = seconds_to_connect(self.timeout)
        return openai.AsyncOpenAI(
            api_key="a header of ours",
            base_url=self.url,
            max_retries=0,
            # The key travels as a header of ours, so that no other key of the environment takes its place.
            default_headers={"Accept-Encoding": bodies.PACKINGS, **(self.key.header() if self.key else {})},
            http_client=_transport()(
                timeout=httpx2.Timeout(self.timeout, connect=connect, pool=connect),
                limits=httpx2.Limits(max_connections=self.connections, keepalive_expiry=IDLE),
                follow_redirects=False,
                event_hooks={"response": [_limit]},
                trust_env=not names_this_machine(self.url),  # a proxy of the environment is for other machines
                verify=_trust(),
            ),
        )

    async def aclose(self) -> None:
        """Close this loop's connections; those of others are closed as they end. A later attempt opens new ones."""
        await self._clients.aclose()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


def _transport() -> type[httpx2.AsyncClient]:
    """Return the faster of the vendor's transports that is installed."""
    return openai.DefaultAioHttpClient if importlib.util.find_spec("aiohttp") else openai.DefaultAsyncHttpxClient


def _trust() -> ssl.SSLContext:
    """Return whom TLS trusts: as SSL_CERT_FILE and SSL_CERT_DIR say, this machine's own servers included."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        raise UsageError(f"what SSL_CERT_FILE or SSL_CERT_DIR names cannot be used: {error}") from error


async def _limit(response: httpx2.Response) -> None:
    """Have a response unpacked here, up to a limit, and by nobody else."""
    is_file = response.request.url.path.endswith(FILE)
    response.stream = _Limited(
        response.stream,  # type: ignore[arg-type]  # an asynchronous client's is asynchronous
        Unpacker(response.headers.pop("content-encoding", ""), bodies.LARGEST_FILE if is_file else bodies.LARGEST),
        refusal=not response.is_success,
    )


class _Limited(httpx2.AsyncByteStream):
    """A body, unpacked; refusal: it may be cut off, since its status has said what matters."""

    def __init__(self, body: httpx2.AsyncByteStream, unpacker: Unpacker, *, refusal: bool) -> None:
        self._body, self._unpacker, self._refusal = body, unpacker, refusal

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                for part in self._unpacker.feed(piece):
                    yield part
        except UnreadableBody:
            if not self._refusal:
                raise

    async def aclose(self) -> None:
        await self._body.aclose()


def _complaint(response: httpx2.Response, hide: Callable[[bytes], bytes]) -> refusals.Complaint:
    """Return what the server says went wrong."""
    try:
        return refusals.of_body(hide(response.content))
    except httpx2.ResponseNotRead:
        return refusals.Complaint("")
