"""Failures of attempts, by what they may have cost, with advice.

1. No connection was made: nothing was sent. `Unreachable`. The vendor's package does not say so itself: over aiohttp
   it reports a refused connection and one dropped after sending alike, as a time-out while connecting, and only the
   cause of its cause tells them apart.
2. Whatever a server says, by its status or inside a success, means what `oracles._http.refusals` says.
3. Everything else after connecting is `OutcomeUnknown`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import httpx2

from oracles._http.rates import rate_seen
from oracles._http.refusals import WRONG_FIELD, field_named
from oracles._http.url import is_azure
from oracles._http.waits import plain_number, retry_after
from oracles._shared.texts import shortened

try:
    import aiohttp
except ImportError:  # the vendor's package then speaks through httpx2 itself
    aiohttp = None  # type: ignore[assignment]  # a module or nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from oracles._http.refusals import Complaint

Cause = TypeVar("Cause", bound=BaseException)

NO_CONNECTION = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
MODEL_CODES = frozenset({"model_not_found", "deploymentnotfound", "model_not_available"})


def nothing_was_sent(error: BaseException) -> bool:
    """Whether it is certain that no connection was made, given what the vendor's package raised."""
    causes = list(_causes(error))
    if aiohttp is not None:
        for cause in causes:
            if isinstance(cause, aiohttp.ClientError):
                return isinstance(
                    cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientHttpProxyError
                )
    return any(isinstance(cause, NO_CONNECTION) for cause in causes)


def cause_of(error: BaseException, kind: type[Cause]) -> Cause | None:
    """Return the first of an error and its causes that is of this kind, None where none is."""
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def reason(error: BaseException, hide: Callable[[str], str]) -> str:
    """Return the innermost cause of a failed connection, for people. hide: takes secrets out, before it is cut."""
    *_, last = _causes(error)
    return shortened(hide(f"{type(last).__name__}: {last}"))


def advice(
    status: int, complaint: Complaint, *, model: str, url: str, variable: str | None, optional: Mapping[str, str]
) -> str:
    """Return what a person can do about a refusal, "" where the message says it all.

    optional: what to do about each field of the request that need not be sent, by its name.
    """
    key = "no key is sent (key_env=none)" if variable is None else f"the key in {variable}"
    named = field_named(complaint, optional) if status in WRONG_FIELD else None
    if named is not None:
        return f"; the request can do without {named}: {optional[named]}"
    if status in (401, 403):
        return f"; is {key} right?" if status == 401 else f"; may {key} ask {model}, from here?"
    if status == 404:
        if MODEL_CODES & complaint.codes or _of_model(complaint.message, model):
            return f"; check the option model={model}, and that {key} may ask it"
        ending = "/openai/v1" if is_azure(url) else "/v1"
        return f"; does {url} speak the protocol of OpenAI? Its base_url mostly ends in {ending}"
    if status == 413:
        return "; send smaller images: lower height and width"
    return "; redirects are not followed: give the final base_url" if 300 <= status < 400 else ""


def _of_model(said: str, model: str) -> bool:
    """Whether a 404 is about the model that was asked and not about the address."""
    return model.lower() in said.lower() or re.search(r"\b(model|deployment)\b", said.lower()) is not None


def wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait that a refusal's headers ask for, None where they do not.

    now: seconds since the epoch, for headers that do not say when they were made. First retry-after-ms, then
    Retry-After (seconds or a date), then the time until the limit that is used up is whole again.
    """
    milliseconds = plain_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = retry_after(headers, now)
    return _reset(headers, now) if seconds is None else seconds


def _reset(headers: Mapping[str, str], now: float) -> float | None:
    seen = rate_seen(headers, now)
    if seen is None:
        return None
    resets = ((seen.requests_left, seen.requests_reset), (seen.tokens_left, seen.tokens_reset))
    return max((reset for left, reset in resets if left == 0 and reset is not None), default=None)
