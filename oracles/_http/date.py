"""The server's own clock: a date in a response is read by it, since this machine's clock may be wrong by days."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def server_time(headers: Mapping[str, str], otherwise: float) -> float:
    """Return when a response was made, in seconds since the epoch, as its header Date says; `otherwise` without one.

    headers: their names in any case, if the mapping does not mind it. RFC 9110, section 6.6.1, has every server that
    knows the time send one.
    """
    try:
        made = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):  # a year of twenty digits overflows
        return otherwise
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
