"""One attempt at an HTTP server: the body of its answer, or honestly how it failed.

What an attempt may have cost decides its error (see `bbquery.errors`):

1. No connection was made (refused, no such host, TLS, time-out while connecting): no request left. `Unreachable`.
2. The server said no before doing the work: 429 is `RateLimited`, other 4xx and redirects are `Rejected`. 408 is not
   among them: a gateway gives up with it on a model that may well have answered.
3. All else after connecting (5xx, a dropped connection, a time-out, half a body) is `OutcomeUnknown`. That includes a
   kept connection which the server closed as we wrote: perhaps it had read the request.

So there is one attempt: no retries, no redirects, and idle connections are closed before servers close them.
"""

from __future__ import annotations

import io
import re
import time
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from bbquery.errors import MissingExtra, OracleError, OutcomeUnknown, RateLimited, Rejected, Unreachable
from oracles._wire.fields import WireError, loads

try:
    import aiohttp
except ImportError as error:
    raise MissingExtra("http", "asking a model over HTTP", "aiohttp") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles._key import Key

Failure = TypeVar("Failure", bound=OracleError)

LONGEST_CONNECT = 30.0  # seconds, as aiohttp
IDLE = 1.0  # seconds a connection is kept: less than common servers keep it (2 to 75), so that none closes under us
AT_ONCE = 2**20  # bytes written in one go, the faster way; above it aiohttp warns of a loop held up
MOVED = (301, 302, 307, 308)
GATEWAY_GAVE_UP = 408
MESSAGE_BYTES = 4096
MESSAGE_LENGTH = 200
ADVICE = {
    401: "is key_env set, and is the key valid?",
    403: "is key_env set, and may the key do this?",
    404: "does the server speak the protocol of oracles.http, and is the URL its root?",
    413: "lower the option batch",
}


@dataclass(frozen=True)
class Endpoint:
    """A server and how it is asked.

    url: its root, without a trailing slash. key: sent as a bearer token. timeout: seconds for a whole attempt.
    name: who failed, in errors. clock: seconds since the epoch, to read a Retry-After that is a date.
    """

    url: str
    key: Key | None
    timeout: float
    name: str
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def session(self, connections: int) -> aiohttp.ClientSession:
        """Open a session in the running loop, for at most `connections` attempts at once."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE),
            # Connecting must time out before the whole attempt does: only then is it known that nothing was sent.
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=min(LONGEST_CONNECT, self.timeout / 2)),
            cookie_jar=aiohttp.DummyCookieJar(),  # attempts are independent
            trust_env=False,
        )

    async def attempt(self, session: aiohttp.ClientSession, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request and return the body of its answer.

        Raises:
            Unreachable, RateLimited, Rejected, OutcomeUnknown: as the module says.
        """
        data = body if body is None or len(body) <= AT_ONCE else io.BytesIO(body)
        headers = {"Content-Type": "application/json"} | (self.key.header() if self.key else {})
        try:
            async with session.request(
                method, self.url + path, data=data, headers=headers, allow_redirects=False
            ) as response:
                if not 200 <= response.status < 300:
                    raise await self._refusal(response)
                return await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self.error(Unreachable, f"cannot connect to {self.url}: {error}") from error
        # Below, `from None`: what a server sent may echo the key, so the message carries the cause with it hidden.
        except TimeoutError:
            raise self.error(OutcomeUnknown, f"no answer from {self.url}{path} within {self.timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            cause = f"{type(error).__name__}: {error}"
            raise self.error(OutcomeUnknown, f"{self.url}{path} broke off ({cause})") from None

    async def _refusal(self, response: aiohttp.ClientResponse) -> OracleError:
        status = response.status
        said = f"{response.method} {response.url.path} gave {status}: {await self._message(response)}"
        if status == 429:
            wait = seconds_until(response.headers.get("Retry-After"), self.clock())
            return self.error(RateLimited, said, retry_after=wait)
        if status in MOVED:
            return self.error(Rejected, f"{said}; redirects are not followed: give the final URL")
        if 400 <= status < 500 and status != GATEWAY_GAVE_UP:
            return self.error(Rejected, f"{said}; {ADVICE[status]}" if status in ADVICE else said)
        return self.error(OutcomeUnknown, said)

    async def _message(self, response: aiohttp.ClientResponse) -> str:
        """Return what the body says; its status has said what matters, so half a body will do."""
        try:
            body = await response.content.read(MESSAGE_BYTES)
        except (aiohttp.ClientError, OSError):
            body = b""
        return shortened(self.hide(message(body))) or response.reason or "no reason given"

    def error(self, kind: type[Failure], said: str, **details: float | None) -> Failure:
        """Return an error that names this server and does not show its key."""
        return kind(self.hide(said), oracle=self.name, **details)

    def hide(self, said: str) -> str:
        """Return `said` without the key."""
        return self.key.hide(said) if self.key else said


def seconds_until(retry_after: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, None where it is absent or unreadable.

    It is a number of seconds or an HTTP date (RFC 9110, section 10.2.3); `now` is in seconds since the epoch.
    """
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", retry_after.strip()):
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now)


def message(body: bytes) -> str:
    """Return what an error's body says: the text under "error", "message" or "detail", or the body as it is."""
    try:
        content = loads(body)
    except WireError:
        return body.decode(errors="replace")
    return next(
        (content[key] for key in ("error", "message", "detail") if isinstance(content.get(key), str)), str(content)
    )


def shortened(said: str, longest: int = MESSAGE_LENGTH) -> str:
    """Return `said` on one line of printable characters, cut after `longest`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return line if len(line) <= longest else f"{line[:longest]}…"
