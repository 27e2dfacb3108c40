"""Pace: how fast requests may start.

asyncio-throttle keeps an exact sliding window, but every waiter polls, waiters are not served in order, and a rate
below one a second is silently rounded up. So exactly one task, the client's dispatcher, ever waits here, and a rate
is given to it as a whole number of requests in a period of whole seconds.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from asyncio_throttle.throttler import Throttler

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from bbquery.clock import Clock

LONGEST_PERIOD = 60  # seconds; a rate is rounded down to a whole number of requests in at most this
LARGEST_DENOMINATOR = 10**9  # a float misses 1/3 and 0.7 by a rounding; this finds what was meant


class Pace:
    """Lets one task through at a time: at most `requests_per_second` (None: unlimited), and not while paused."""

    def __init__(self, requests_per_second: float | None, clock: Clock) -> None:
        self._clock = clock
        self._paused_until = clock.now()
        self._throttler = None
        if requests_per_second is not None:
            requests, period = as_window(requests_per_second)
            self._throttler = Throttler(rate_limit=requests, period=period)

    async def turn(self) -> None:
        """Wait until the next request may start."""
        await self._until_resumed()
        if self._throttler is None:
            return
        await self._throttler.acquire()
        while self._left > 0:  # paused meanwhile: the slot in the window has passed with it
            await self._until_resumed()
            await self._throttler.acquire()

    async def _until_resumed(self) -> None:
        while (left := self._left) > 0:
            await self._clock.sleep(left)

    @property
    def _left(self) -> float:
        return self._paused_until - self._clock.now()

    def pause(self, seconds: float) -> None:
        """Let nothing start for this long: the oracle asked for it."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)


def as_window(requests_per_second: float) -> tuple[int, int]:
    """Return the most requests in the shortest period of whole seconds that does not exceed this rate.

    Raises:
        UsageError: the rate is below one request in LONGEST_PERIOD, or not finite.
    """
    if not math.isfinite(requests_per_second):
        raise UsageError(f"{requests_per_second} requests per second is no rate: give a number, or None for unlimited")
    rate = Fraction(requests_per_second).limit_denominator(LARGEST_DENOMINATOR)
    if rate < Fraction(1, LONGEST_PERIOD):
        raise UsageError(
            f"{requests_per_second} requests per second is too slow: at least one in {LONGEST_PERIOD} seconds"
        )
    best = max(range(1, LONGEST_PERIOD + 1), key=lambda period: (Fraction(int(rate * period), period), -period))
    return int(rate * best), best
