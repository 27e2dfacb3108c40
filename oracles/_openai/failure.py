"""How an attempt failed, told by what it may have cost, with advice.

1. No connection was made: nothing was sent. `Unreachable`. The vendor's package does not say so itself: over aiohttp
   it reports a refused connection and one dropped after sending alike, as a time-out while connecting, and only the
   cause of its cause tells them apart.
2. Whatever a server says, by its status or inside a success, means what `oracles._refusals` says.
3. Everything else after connecting is `OutcomeUnknown`.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import httpx2

from oracles._date import server_time
from oracles._openai.words import shortened
from oracles._rates import rate_seen

try:
    import aiohttp
except ImportError:  # the vendor's package then speaks through httpx2 itself
    aiohttp = None  # type: ignore[assignment]  # a module or nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Cause = TypeVar("Cause", bound=BaseException)


def nothing_was_sent(error: BaseException) -> bool:
    """Whether it is certain that no connection was made, given what the vendor's package raised."""
    causes = list(_causes(error))
    if aiohttp is not None:
        for cause in causes:
            if isinstance(cause, aiohttp.ClientError):
                return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout) for cause in causes)


def cause_of(error: BaseException, kind: type[Cause]) -> Cause | None:
    """Return the first of an error and its causes that is of this kind, None where none is."""
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def reason(error: BaseException) -> str:
    """Return the innermost cause of a failed connection, for people."""
    *_, last = _causes(error)
    return shortened(f"{type(last).__name__}: {last}")


def advice(status: int, codes: frozenset[str], *, model: str, url: str, variable: str | None) -> str:
    """Return what a person can do about a refusal, "" where the message says it all."""
    key = "no key is sent (key_env=none)" if variable is None else f"the key in {variable}"
    if status == 401:
        return f"; is {key} right?"
    if status == 403:
        return f"; may {key} ask {model}, from here?"
    if status == 404 and "model_not_found" in codes:
        return f"; check the option model={model}, and that {key} may ask it"
    if status == 404:
        return f"; does {url} speak the protocol of OpenAI? Its base_url mostly ends in /v1"
    if status == 413:
        return "; send smaller images: lower height and width"
    return "; redirects are not followed: give the final base_url" if 300 <= status < 400 else ""


def wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait that a refusal's headers ask for, None where they do not.

    now: seconds since the epoch, for headers that do not say when they were made. First retry-after-ms, then
    Retry-After (seconds or a date), then the time until the limit that is used up is whole again.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _number(told)
    if seconds is None and told is not None:
        seconds = _until(told, server_time(headers, now))
    return _reset(headers) if seconds is None else seconds


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()) else None


def _until(date: str, now: float) -> float | None:
    try:
        until = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now)


def _reset(headers: Mapping[str, str]) -> float | None:
    seen = rate_seen(headers)
    if seen is None:
        return None
    resets = ((seen.requests_left, seen.requests_reset), (seen.tokens_left, seen.tokens_reset))
    return max((reset for left, reset in resets if left == 0 and reset is not None), default=None)
