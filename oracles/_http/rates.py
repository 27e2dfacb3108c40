"""Rate limits in the headers of a response: counts in a minute, and the time until they are whole again.

OpenAI has `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, as many gateways and servers repeat, with times such
as "6m0s", "120ms" or plain seconds. Anthropic has `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`, with
instants (RFC 3339).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bbquery.oracle import RateSeen
from oracles._http.waits import duration, server_time

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_COUNT = 12  # digits: no limit is longer
WHAT, OF = ("limit", "remaining", "reset"), ("requests", "tokens")
OPENAI = tuple(f"x-ratelimit-{what}-{of}" for what in WHAT for of in OF)
ANTHROPIC = tuple(f"anthropic-ratelimit-{of}-{what}" for what in WHAT for of in OF)
SILENCE = [None] * len(OPENAI)  # of most servers


def rate_seen(headers: Mapping[str, str], now: float) -> RateSeen | None:
    """Return what these headers say, None where they say nothing; what cannot be read is not said.

    headers: their names in any case, if the mapping does not mind it. now: seconds since the epoch, for headers that do
    not say when they were made.
    """
    said, resets = [*map(headers.get, OPENAI)], []
    if said != SILENCE:
        resets = [duration(text) for text in said[4:]]
    else:
        said = [*map(headers.get, ANTHROPIC)]
        if said == SILENCE:
            return None
        begin = server_time(headers, now)
        resets = [_until(text, begin) for text in said[4:]]
    requests, tokens, requests_left, tokens_left = map(_count, said[:4])
    seen = RateSeen(
        requests=requests,
        tokens=tokens,
        requests_left=requests_left,
        tokens_left=tokens_left,
        requests_reset=resets[0],
        tokens_reset=resets[1],
    )
    return None if seen == RateSeen() else seen


def _until(text: str | None, begin: float) -> float | None:
    """Return the seconds from `begin`, seconds since the epoch, to an instant; None where it is none."""
    try:
        instant = datetime.fromisoformat((text or "").strip())
        return max(0.0, (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() - begin)
    except (ValueError, OverflowError, OSError):
        return None


def _count(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdecimal() and len(stripped) <= LONGEST_COUNT else None
