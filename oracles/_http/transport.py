"""One attempt at an HTTP server: the body of its answer, or how it failed.

What an attempt may have cost decides its error (see `bbquery.errors`):

1. No connection was made (refused, no such host, TLS, time-out while connecting): no request left. `Unreachable`.
2. The server said no, or that it failed: as `oracles._http.refusals` says.
3. A body that is too long or cannot be unpacked is `MalformedAnswer`: it was answered.
4. All else after connecting (a dropped connection, a time-out, half a body) is `OutcomeUnknown`. That includes a
   kept connection which the server closed as we wrote: perhaps it had read the request.

So there is one attempt: no retries, no redirects, and idle connections are closed before servers close them.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from bbquery.errors import (
    MalformedAnswer,
    MissingExtra,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from bbquery.system.deadlines import Deadlines
from bbquery.types import NoAnswer
from oracles._http import bodies, refusals
from oracles._http.bodies import Unpacker, UnreadableBody
from oracles._http.connections import AT_ONCE, IDLE, seconds_to_connect
from oracles._http.rates import rate_seen
from oracles._http.tls import advice
from oracles._http.url import proxy_for
from oracles._http.waits import retry_after
from oracles._shared.loops import OnePerLoop
from oracles._shared.texts import shortened

try:
    import aiohttp
except ImportError as error:
    raise MissingExtra("http", "asking a model over HTTP", "aiohttp") from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bbquery.oracle import RateSeen
    from oracles._http.headers import Headers

Failure = TypeVar("Failure", bound=OracleError)

JSON_HEADERS = {"Content-Type": "application/json"}
SECONDS_FOR_A_REASON = 2.0  # that a refusal's body may take: its status has said what matters
ADVICE = {
    401: "is the key set (key_env, or a header of the template), and is it valid?",
    403: "is the key set (key_env, or a header of the template), and may it do this?",
    404: "does the server speak the protocol of oracles.http, and is the URL its root? any other needs a template",
    413: "lower the option largest_batch",
    **dict.fromkeys(refusals.MOVED, "redirects are not followed: give the final URL"),
}


ADVICE_ON_TEMPLATES = ADVICE | {
    404: "is the url right, and does the server know the path of the template, and the model?",
    413: "send smaller images, or fewer in a request (largest_batch)",
}


@dataclass(eq=False)
class HttpEndpoint:
    """A server and how it is asked.

    url: its root, without a trailing slash. headers: of every request. timeout: seconds for a whole attempt.
    name: who failed, in errors. not_ready: statuses that say, by the user's word, that nothing was done yet. fields: of
    the request, as the user wrote it, and advice: by status, for errors.
    clock: seconds since the epoch, to read a Retry-After that is a date where the server does not say when it answers.
    rate_seen: what the last response said of rate limits.
    """

    url: str
    headers: Headers
    timeout: float
    name: str
    not_ready: frozenset[int] = frozenset()
    fields: frozenset[str] = frozenset()
    advice: Mapping[int, str] = field(default_factory=lambda: ADVICE, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)
    rate_seen: RateSeen | None = field(default=None, repr=False)
    _proxy: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._proxy = proxy_for(self.url)

    def session(self, connections: int, total: float | None) -> aiohttp.ClientSession:
        """Open a session in the running loop, for at most `connections` attempts at once.

        total: seconds for a whole attempt; None where whoever attempts sees to that.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE),
            timeout=aiohttp.ClientTimeout(total=total, sock_connect=seconds_to_connect(self.timeout)),
            cookie_jar=aiohttp.DummyCookieJar(),  # attempts are independent
            trust_env=False,  # it would also read passwords from ~/.netrc; a proxy is named in each request
        )

    async def attempt(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = JSON_HEADERS,
    ) -> bytes | NoAnswer:
        """Send one request and return the body of its answer, or that the server will not answer it.

        headers: those that belong to the body.

        Raises:
            UsageError: a key is unset; nothing was sent. Unreachable, RateLimited, QuotaExceeded, Rejected,
                OutcomeUnknown: as the module says.
        """
        data = _payload(body)
        sent = {**headers, "Accept-Encoding": bodies.PACKINGS, **self.headers.sent()}
        try:
            response = await session.request(
                method,
                self.url + path,
                data=data,
                headers=sent,
                allow_redirects=False,
                auto_decompress=False,
                proxy=self._proxy,
            )
            self.rate_seen = rate_seen(response.headers, self.clock()) or self.rate_seen
            if 200 <= response.status < 300:
                # Reading it all, or failing to, gives the connection back: a context does no more than that.
                return self.headers.hide_in_answer(await _whole(response))
            async with response:
                refusal = await self._refusal(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self.error(Unreachable, f"cannot connect to {self.url}: {error}{advice(str(error))}") from error
        except aiohttp.ClientHttpProxyError as error:
            said = f"the environment's proxy let nobody through to {self.url}: {error.status} {error.message}"
            raise self.error(Unreachable, said) from None
        # Below, `from None`: what a server sent may echo the key, so the message carries the cause with it hidden.
        except TimeoutError:
            raise self.late(path) from None
        except UnreadableBody as fault:
            raise self.error(MalformedAnswer, f"the answer of {self.url}{path} cannot be read: {fault}") from None
        except Exception as error:  # noqa: BLE001 - aiohttp's own, and what it may stumble over: it may have been billed
            cause = f"{type(error).__name__}: {error}"
            raise self.error(OutcomeUnknown, f"{self.url}{path} broke off ({cause})") from None
        if isinstance(refusal, NoAnswer):
            return refusal
        raise refusal

    def late(self, path: str) -> OutcomeUnknown:
        """Return the error of an attempt that took too long."""
        return self.error(OutcomeUnknown, f"no answer from {self.url}{path} within {self.timeout:g} s")

    async def _refusal(self, response: aiohttp.ClientResponse) -> OracleError | NoAnswer:
        status, complaint = response.status, refusals.of_body(await self._body(response))
        reason = shortened(self.hide(complaint.message)) or response.reason or "no reason given"
        said = f"{response.method} {response.url.path} gave {status}: {reason}"
        wait = retry_after(response.headers, self.clock())
        if status in self.not_ready:
            return self.error(RateLimited, said, retry_after=complaint.wait if wait is None else wait)
        return self._outcome(complaint, said, status, wait)

    def failure_in(self, path: str, complaint: refusals.Complaint) -> OracleError | NoAnswer:
        """Return what became of an attempt whose success holds a failure."""
        said = f"{self.url}{path} answered with an error: {shortened(self.hide(complaint.message))}"
        return self._outcome(complaint, said, complaint.status, None)

    def _outcome(
        self, complaint: refusals.Complaint, said: str, status: int | None, wait: float | None
    ) -> OracleError | NoAnswer:
        found = refusals.outcome(complaint, self.hide(said), oracle=self.name, status=status, wait=wait)
        if not isinstance(found, Rejected) or status is None:
            return found
        named = refusals.field_named(complaint, self.fields) if status in refusals.WRONG_FIELD else None
        if named is not None:
            return self.error(Rejected, f"{said}; the template sends {named!r}: leave it out, or change it")
        return self.error(type(found), f"{said}; {self.advice[status]}") if status in self.advice else found

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return what there is of a refusal's body; its status has said what matters, so half a body will do."""
        parts: list[bytes] = []
        with contextlib.suppress(aiohttp.ClientError, OSError, UnreadableBody, TimeoutError):
            async with asyncio.timeout(SECONDS_FOR_A_REASON):
                async for part in _unpacked(response, bodies.LARGEST_REASON):
                    parts.append(part)  # noqa: PERF401 - what had come before it broke off is kept
        return b"".join(parts)

    def error(self, kind: type[Failure], said: str, **details: Any) -> Failure:
        """Return an error that names this server and does not show its keys."""
        return kind(self.hide(said), oracle=self.name, **details)

    def hide(self, said: str) -> str:
        """Return `said` without the keys."""
        return self.headers.hide(said)


class _Opened(NamedTuple):
    """The connections of one event loop, and the timer of its attempts."""

    session: aiohttp.ClientSession
    deadlines: Deadlines

    async def aclose(self) -> None:
        self.deadlines.close()
        await self.session.close()


class Connections:
    """The connections to an endpoint, opened when they are first needed. One timer keeps the time of all attempts.

    most: attempts at once.
    """

    def __init__(self, endpoint: HttpEndpoint, most: int) -> None:
        self.endpoint = endpoint
        self._most = most
        self._opened: OnePerLoop[_Opened] = OnePerLoop(_Opened.aclose)

    async def attempt(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] = JSON_HEADERS
    ) -> bytes | NoAnswer:
        """Send one request and return the body of its answer, or that the server will not answer it.

        Raises:
            UsageError, OracleError: as `HttpEndpoint.attempt`.
        """
        session, deadlines = await self._opened.here(self._open)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancelled_before = task.cancelling()
        deadlines.begin(task)
        try:
            return await self.endpoint.attempt(session, method, path, body, headers)
        except asyncio.CancelledError:
            if not deadlines.end(task) or task.uncancel() > cancelled_before:  # somebody else gave it up
                raise
            raise self.endpoint.late(path) from None
        finally:
            deadlines.end(task)

    async def aclose(self) -> None:
        """Close this loop's connections; those of others are closed as they end. A later attempt opens new ones."""
        await self._opened.aclose()

    def _open(self) -> _Opened:
        return _Opened(self.endpoint.session(self._most, total=None), Deadlines(self.endpoint.timeout))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, unpacked.

    Raises:
        UnreadableBody: it is too long, or cannot be unpacked.
    """
    length = response.content_length
    if length is not None and length <= bodies.LARGEST and "Content-Encoding" not in response.headers:
        return await response.read()  # which is faster, and cannot be longer
    try:
        return b"".join([part async for part in _unpacked(response, bodies.LARGEST)])
    except BaseException:
        response.close()  # there may be no end to the rest, and the connection is not given back
        raise


async def _unpacked(response: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    unpacker = Unpacker(response.headers.get("Content-Encoding", ""), most)
    async for piece in response.content.iter_any():
        for part in unpacker.feed(piece):
            yield part


def _payload(body: bytes | None) -> aiohttp.Payload | io.BytesIO | None:
    """Return a body as aiohttp sends it fastest: small ones as a payload, which spares it the search for one."""
    if body is None:
        return None
    return aiohttp.BytesPayload(body) if len(body) <= AT_ONCE else io.BytesIO(body)
