"""What is read from the headers of a rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.oracle import RateSeen
from oracles._http.rates import rate_seen


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

    assert rate_seen(headers) == RateSeen(
        requests=500, tokens=30000, requests_left=499, tokens_left=29000, requests_reset=0.12, tokens_reset=360.0
    )


@pytest.mark.parametrize("headers", [{}, {"date": "today"}, {"x-ratelimit-limit-requests": "many"}])
def test_saying_nothing_is_none(headers: dict[str, str]) -> None:
    """Absent and unreadable headers are not taken for a limit."""
    assert rate_seen(headers) is None


@given(st.dictionaries(st.sampled_from(["x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"]), st.text()))
def test_no_header_breaks_the_reader(headers: dict[str, str]) -> None:
    """Whatever a server says, reading it raises nothing, and gives nothing that is not a finite count or time."""
    seen = rate_seen(headers) or RateSeen()

    assert (seen.tokens or 0) < 10**12
    assert (seen.tokens_reset or 0.0) < 1e15
