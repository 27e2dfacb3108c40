"""How long a server asks to be left alone."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles._http.waits import duration, retry_after, server_time


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("1e9", None),
        ("9" * 400, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110 are understood, the past is now, and nonsense is no wait at all."""
    now = 784111740.0  # Sun, 06 Nov 1994 08:49:00 GMT

    assert retry_after({} if header is None else {"retry-after": header}, now) == seconds


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}, {"date": "Mon, 99 Foo 2026 25:00:00"}])
def test_a_server_that_does_not_tell_the_time_is_read_by_our_clock(headers: dict[str, str]) -> None:
    """Without a date that can be read, this machine's clock is all there is."""
    assert server_time(headers, 5.0) == 5.0


@given(st.integers(0, 4 * 10**9))
def test_a_date_is_read_to_the_second(seconds: int) -> None:
    """The date of a response, with or without its zone, is what its server wrote."""
    assert server_time({"date": formatdate(seconds, usegmt=True)}, -1) == seconds
    assert server_time({"date": formatdate(seconds)}, -1) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400.0),
        ("8.64s", 8.64),
        ("2m59.56s", 179.56),
        ("12", 12.0),
        (" 0.25 ", 0.25),
        ("-1s", None),
        ("1", 1.0),
        ("soon", None),
        ("1s soon", None),
        ("1e3", None),
        ("", None),
        (None, None),
    ],
)
def test_durations_of_vendors_are_seconds(text: str | None, expected: float | None) -> None:
    """Go's way of writing a duration, and plain seconds."""
    assert duration(text) == (None if expected is None else pytest.approx(expected))


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_every_duration_that_is_written_is_read(hours: int, minutes: int, secs: int, millis: int) -> None:
    """Any parts, zero ones too, add up."""
    assert duration(f"{hours}h{minutes}m{secs}s{millis}ms") == pytest.approx(
        hours * 3600 + minutes * 60 + secs + millis / 1000
    )
