"""Connections to servers: how they are made and kept, whichever package makes them."""

from __future__ import annotations

LONGEST_CONNECT = 30.0  # seconds, as aiohttp
IDLE = 1.0  # seconds a connection is kept: less than common servers keep it (2 to 75), so that none closes under us
AT_ONCE = 2**20  # bytes written in one go, the faster way; above it aiohttp warns of a loop held up


def seconds_to_connect(timeout: float) -> float:
    """Return the seconds that connecting may take, of an attempt's `timeout`.

    It must end before the whole attempt does: only then is it known that nothing was sent.
    """
    return min(LONGEST_CONNECT, timeout / 2)
