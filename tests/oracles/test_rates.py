"""What is read from the headers of a rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.oracle import RateSeen
from oracles._http.rates import ANTHROPIC, rate_seen

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


def test_all_that_is_said_is_read() -> None:
    """Each of the six headers has its place."""
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-reset-tokens": "6m0s",
    }

    assert rate_seen(headers, NOW) == RateSeen(
        requests=500, tokens=30000, requests_left=499, tokens_left=29000, requests_reset=0.12, tokens_reset=360.0
    )


def test_times_at_which_limits_are_whole_again_are_read() -> None:
    """Anthropic names instants, which count from the server's own clock where it tells the time, and from ours else."""
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-09-21T14:13:21Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-09-21T14:14:20+00:00",
    }

    assert rate_seen(headers, NOW) == RateSeen(
        requests=50, tokens=40000, requests_left=49, tokens_left=0, requests_reset=1.0, tokens_reset=60.0
    )
    seen = rate_seen(headers | {"date": "Mon, 21 Sep 2026 14:13:50 GMT"}, NOW)
    assert seen is not None
    assert (seen.requests_reset, seen.tokens_reset) == (0.0, 30.0)


@pytest.mark.parametrize("headers", [{}, {"date": "today"}, {"x-ratelimit-limit-requests": "many"}])
def test_saying_nothing_is_none(headers: dict[str, str]) -> None:
    """Absent and unreadable headers are not taken for a limit."""
    assert rate_seen(headers, NOW) is None


@given(
    st.dictionaries(
        st.sampled_from([f"x-ratelimit-{what}-tokens" for what in ("limit", "reset")] + list(ANTHROPIC)), st.text()
    )
)
def test_no_header_breaks_the_reader(headers: dict[str, str]) -> None:
    """Whatever a server says, reading it raises nothing, and gives nothing that is not a finite count or time."""
    seen = rate_seen(headers, NOW) or RateSeen()

    assert (seen.tokens or 0) < 10**12
    assert (seen.tokens_reset or 0.0) < 1e15
