"""Rate limits in the headers of a response.

They are `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, as OpenAI has them and many gateways and servers
repeat: counts in a minute, and the time until they are whole again, such as "6m0s", "120ms" or plain seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.oracle import RateSeen
from oracles._http.waits import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_COUNT = 12  # digits: no limit is longer
NAMES = tuple(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens"))
SILENCE = [None] * len(NAMES)  # of most servers


def rate_seen(headers: Mapping[str, str]) -> RateSeen | None:
    """Return what these headers say, None where they say nothing; what cannot be read is not said.

    headers: their names in any case, if the mapping does not mind it.
    """
    said = [*map(headers.get, NAMES)]
    if said == SILENCE:
        return None
    requests, tokens, requests_left, tokens_left = map(_count, said[:4])
    requests_reset, tokens_reset = map(duration, said[4:])
    seen = RateSeen(
        requests=requests,
        tokens=tokens,
        requests_left=requests_left,
        tokens_left=tokens_left,
        requests_reset=requests_reset,
        tokens_reset=tokens_reset,
    )
    return None if seen == RateSeen() else seen


def _count(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdecimal() and len(stripped) <= LONGEST_COUNT else None
