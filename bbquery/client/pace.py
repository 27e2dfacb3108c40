"""Pace: how fast requests may start, in images and in tokens.

asyncio-throttle keeps an exact sliding window, but every waiter polls, waiters are not served in order, and a rate
below one in its period is silently rounded up. So here one task at a time waits, in order, and a rate becomes a small
whole number of images in a short period:

1. Spread. 3,000 a minute is 4 in 0.084 seconds, not 50 at once every second: no burst reaches the oracle.
2. Margin. Starts are evenly spaced here, but arrivals bunch up on the way, so 6 % of the rate is left alone.
3. Tokens have a window of their own, a minute long; a request that alone exceeds it goes when nothing else is in it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from asyncio_throttle.throttler import Throttler

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from bbquery.oracle import RateSeen
    from bbquery.system.clock import Clock

MINUTE = 60.0  # seconds
MARGIN = 0.06  # of the rate; arrivals bunch up in flight
SPREAD = 0.05  # seconds; images that may start together are those of so long
SECONDS_BETWEEN_LOOKS = 0.001  # of the one task that waits, once its time should have come


class Pace:
    """Lets requests through one at a time, in order: not while paused, and within images and tokens per minute."""

    def __init__(self, images_per_minute: float | None, tokens_per_minute: float | None, clock: Clock) -> None:
        self._clock = clock
        self._paused_until = -math.inf
        self._turn = asyncio.Lock()
        self._images: Throttler | None = None
        self._recent: deque[float] = deque()  # when the images of the current window started
        self._image_rate = images_per_minute
        self._tokens = TokenWindow(tokens_per_minute, clock)
        if images_per_minute is not None:
            self._set_image_rate(images_per_minute)

    @property
    def is_free(self) -> bool:
        """Whether nothing limits it now, so that nobody need take a turn."""
        if self._images is not None or not self._tokens.is_free:
            return False
        return self._paused_until == -math.inf or self._left <= 0  # most never have to wait: then no clock is read

    @property
    def is_awaited(self) -> bool:
        """Whether a request waits for its turn."""
        return self._turn.locked()

    async def turn(self, images: int, tokens: int) -> None:
        """Wait until a request of so many images and tokens may start."""
        async with self._turn:
            await self._unpaused()
            await self._fits(images, tokens)
            while self._left > 0:  # paused meanwhile: the place in the windows has passed with it
                await self._unpaused()
                await self._fits(images, tokens)
            self._tokens.take(tokens)

    def pause(self, seconds: float) -> None:
        """Let nothing start for this long: the oracle asked for it."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def learn(self, seen: RateSeen) -> None:
        """Take the oracle's own word for its limits; a stricter limit that was given stays."""
        if seen.requests and (self._image_rate is None or seen.requests < self._image_rate):
            self._image_rate = float(seen.requests)
            self._set_image_rate(self._image_rate)
        self._tokens.learn(seen.tokens)
        if seen.requests_left == 0 and seen.requests_reset is not None:
            self.pause(seen.requests_reset)
        if seen.tokens_left == 0 and seen.tokens_reset is not None:
            self.pause(seen.tokens_reset)

    def _set_image_rate(self, per_minute: float) -> None:
        images, period = window(per_minute)
        if self._images is None:
            self._images = Throttler(rate_limit=images, period=period, retry_interval=SECONDS_BETWEEN_LOOKS)
        self._images.rate_limit, self._images.period = images, period
        self._recent = deque(self._recent, maxlen=images)

    @property
    def paused(self) -> float:
        """For how many seconds more nothing may start, since the oracle asked for it; 0 where it did not."""
        return 0.0 if self._paused_until == -math.inf else max(self._left, 0.0)

    @property
    def _left(self) -> float:
        return self._paused_until - self._clock.now()

    async def _unpaused(self) -> None:
        while (left := self._left) > 0:
            await self._clock.sleep(left)

    async def _fits(self, images: int, tokens: int) -> None:
        # Tokens first: theirs is the long wait, in which a place among the images would pass unused.
        await self._tokens.room(tokens)
        if self._images is not None:
            for _ in range(images):
                await self._next_image(self._images)

    async def _next_image(self, window_of_images: Throttler) -> None:
        """Sleep until the window has room rather than have the throttler poll for it; then let it decide."""
        if len(self._recent) == self._recent.maxlen:
            await self._clock.sleep(max(0.0, self._recent[0] + window_of_images.period - self._clock.now()))
        await window_of_images.acquire()
        self._recent.append(self._clock.now())


class TokenWindow:
    """At most so many tokens in any minute; None is no limit."""

    def __init__(self, per_minute: float | None, clock: Clock) -> None:
        self._limit, self._clock = per_minute, clock
        self._started: deque[tuple[float, int]] = deque()
        self._sum = 0

    @property
    def is_free(self) -> bool:
        """Whether there is no limit."""
        return self._limit is None

    def learn(self, per_minute: int | None) -> None:
        """Take a stricter limit."""
        if per_minute is not None and (self._limit is None or per_minute < self._limit):
            self._limit = float(per_minute)

    async def room(self, tokens: int) -> None:
        """Wait until so many tokens fit; they still do when they are taken later, as long as nobody else takes any."""
        while self._live() and self._limit is not None and self._sum + tokens > self._limit * (1 - MARGIN):
            await self._clock.sleep(self._started[0][0] + MINUTE - self._clock.now())

    def take(self, tokens: int) -> None:
        """Count tokens that start now."""
        self._started.append((self._clock.now(), tokens))
        self._sum += tokens

    def _live(self) -> bool:
        """Forget what is older than a minute; whether anything is left."""
        now = self._clock.now()
        while self._started and now >= self._started[0][0] + MINUTE:  # rounded as where it is waited for
            self._sum -= self._started.popleft()[1]
        return bool(self._started)


def window(per_minute: float) -> tuple[int, float]:
    """Return the images and the seconds of the sliding window that keeps a rate, its margin left alone.

    Raises:
        UsageError: the rate is not above zero, or not finite.
    """
    if not 0 < per_minute < math.inf:
        raise UsageError(f"a rate of {per_minute} a minute lets nothing through: give a number above 0, or none")
    per_second = per_minute * (1 - MARGIN) / MINUTE
    images = max(1, int(per_second * SPREAD))
    return images, images / per_second
