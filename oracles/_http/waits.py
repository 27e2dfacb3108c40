"""Waits that a server asks for: a header, a date, or a duration such as "6m0s".

A date is read by the server's own clock where a response says when it was made: this machine's may be wrong by days.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the header Retry-After asks to wait, None where it is absent or unreadable.

    headers: their names in any case, if the mapping does not mind it. now: seconds since the epoch, for headers that do
    not say when they were made. It is a number of seconds or a date (RFC 9110, section 10.2.3).
    """
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = plain_number(text)
    if seconds is not None:
        return seconds
    until = _date(text)
    return None if until is None else max(0.0, until - server_time(headers, now))


def server_time(headers: Mapping[str, str], otherwise: float) -> float:
    """Return when a response was made, in seconds since the epoch, as its header Date says; `otherwise` without one.

    RFC 9110, section 6.6.1, has every server that knows the time send one.
    """
    made = _date(headers.get("date", ""))
    return otherwise if made is None else made


def plain_number(text: str | None) -> float | None:
    """Return a number that is not negative, such as "7" or "1.5", None where it is none."""
    stripped = (text or "").strip()
    return float(stripped) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", stripped) else None


def duration(text: str | None) -> float | None:
    """Return a duration such as "6m0s", "1h2m3.5s", "120ms" or "7" in seconds, None where it is none."""
    plain = plain_number(text)
    if plain is not None:
        return plain
    stripped = (text or "").strip()
    if not re.fullmatch(f"(?:{_PART})+", stripped):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, stripped))


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits overflows
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
