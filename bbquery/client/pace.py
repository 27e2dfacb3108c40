"""Pace: how fast requests may start, in images and in tokens.

asyncio-throttle keeps an exact sliding window, but every waiter polls, waiters are not served in order, and a rate
below one in its period is silently rounded up. So here one task at a time waits, in order, and a rate becomes a small
whole number of images in a short period:

1. Spread. 3,000 a minute is 4 in 0.084 seconds, not 50 at once every second: no burst reaches the oracle.
2. Margin. Starts are evenly spaced here, but arrivals bunch up on the way, so 6 % of the rate is left alone.
3. Tokens have a window of their own, a minute long; a request that alone exceeds it goes when nothing else is in it.
4. Where other processes ask the same provider by the same ledger, all of them take turns (`bbquery.client.turns`), one
   line for images and tokens, in place of the two windows.
5. While none of them knows whether the provider has limits, each sends one request, a little after the other's, and
   waits for its answer (`is_probing`). Once one is answered, all know; what was sent by then is taken off the line.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from asyncio_throttle.throttler import Throttler

from bbquery.client.turns import LOOK
from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.client.turns import Turns
    from bbquery.ledger.rates import Stated
    from bbquery.oracle import RateSeen
    from bbquery.system.clock import Clock

MINUTE = 60.0  # seconds
MARGIN = 0.06  # of the rate; arrivals bunch up in flight
SPREAD = 0.05  # seconds; images that may start together are those of so long
PROBE = 0.1  # seconds from one to the next of the first requests of all processes, while no limit is known
SECONDS_BETWEEN_LOOKS = 0.001  # of the one task that waits, once its time should have come


class Pace:
    """Lets requests through one at a time, in order: not while paused, and within images and tokens per minute."""

    def __init__(self, images_per_minute: float | None, tokens_per_minute: float | None, clock: Clock) -> None:
        self._clock = clock
        self._paused_until = -math.inf
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._images: Throttler | None = None
        self._recent: deque[float] = deque()  # when the images of the current window started
        self._image_rate = images_per_minute
        self._tokens = TokenWindow(tokens_per_minute, clock)
        self._largest = (1, 1)  # images and tokens of a request
        self._stated: Stated = (None, None)  # by the oracle: requests and tokens a minute
        self._probes: list[tuple[int, int]] = []  # images and tokens of each request that was sent to learn the limits
        self.is_told = False  # whether the oracle answered, here or another process: it has stated its limits, if any
        self.turns: Turns | None = None
        if images_per_minute is not None:
            self._set_image_rate(images_per_minute)

    @property
    def is_free(self) -> bool:
        """Whether nothing limits it now, so that nobody need take a turn."""
        if self._has_limits or self.is_probing or (self.turns is not None and self.turns.is_new):
            return False
        return self._paused_until == -math.inf or self._left <= 0  # most never have to wait: then no clock is read

    @property
    def is_probing(self) -> bool:
        """Whether others may ask too and nobody knows the limits, if there are any: then one request at a time."""
        if self.is_told or self._has_limits or self.turns is None:
            return False
        return self.turns.is_new or self.turns.shared

    @property
    def is_awaited(self) -> bool:
        """Whether a request waits for its turn."""
        return self._turn.locked()

    async def turn(self, images: int, tokens: int, following: Callable[[], int] = int) -> None:
        """Wait until a request of so many images and tokens may start.

        following: how many more requests of its kind could start at once, if nothing paced them; asked when it matters.
        """
        self._waiting += 1
        try:
            async with self._turn:
                await self.hear()
                while not await self._may_start(images, tokens, following):
                    await self.hear()
                self._tokens.take(tokens)
        finally:
            self._waiting -= 1

    async def hear(self) -> None:
        """Hear what other processes know of the oracle, once a second."""
        turns = self.turns
        if turns is None or not turns.is_due:
            return
        alone = not turns.shared
        rate = await turns.look()
        if rate is None:
            return
        self.is_told = self.is_told or rate.is_told
        self._limit(*rate.limits)
        if rate.paused:
            self.pause(rate.paused)
        if alone and (recent := self._tokens.recent):
            await turns.owe(self._seconds(0, recent))

    def pause(self, seconds: float) -> None:
        """Let nothing start for this long: the oracle asked for it."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def refused(self, seconds: float) -> None:
        """Pause because the oracle refused, and let other processes know."""
        self.pause(seconds)
        if self.turns is not None:
            self.turns.announce_pause(seconds)

    def learn(self, seen: RateSeen) -> None:
        """Take the oracle's own word for its limits; a stricter limit that was given stays."""
        before = (self._stated, self.is_told and not self._probes)
        self._stated, self.is_told = (seen.requests or self._stated[0], seen.tokens or self._stated[1]), True
        self._limit(seen.requests, seen.tokens)
        if self.turns is not None and before != (self._stated, True):
            owed = sum(max(0.0, self._seconds(*probe) - PROBE) for probe in self._probes)
            self._probes.clear()
            self.turns.announce_limits(self._stated, owed)
        if seen.requests_left == 0 and seen.requests_reset is not None:
            self.pause(seen.requests_reset)
        if seen.tokens_left == 0 and seen.tokens_reset is not None:
            self.pause(seen.tokens_reset)

    def _limit(self, requests: int | None, tokens: int | None) -> None:
        """Keep within these limits a minute, where they are stricter."""
        if requests and (self._image_rate is None or requests < self._image_rate):
            self._image_rate = float(requests)
            self._set_image_rate(self._image_rate)
        self._tokens.learn(tokens)

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

    @property
    def _has_limits(self) -> bool:
        return self._images is not None or not self._tokens.is_free

    @property
    def _is_shared(self) -> bool:
        return self.turns is not None and self.turns.shared

    async def _may_start(self, images: int, tokens: int, following: Callable[[], int]) -> bool:
        """Wait for the request's place; whether it is still good then, with nothing paused or otherwise meanwhile."""
        shared = self._is_shared
        # Tokens first: theirs is the long wait, in which a place among the images would pass unused.
        if wait := self.paused or (0.0 if shared else self._tokens.wait(tokens)):
            await self._clock.sleep(wait if self.turns is None else min(wait, LOOK))
            return False
        if shared:
            if not await self._in_turn(images, tokens, following):
                return False
        elif self._images is not None:
            for _ in range(images):
                await self._next_image(self._images)
        await self.hear()
        return not self.paused and shared == self._is_shared

    async def _in_turn(self, images: int, tokens: int, following: Callable[[], int]) -> bool:
        """Wait for the request's place among those of all processes; whether it is good."""
        if self.turns is None or not (self._has_limits or self.is_probing):
            return True
        if self.is_probing:
            if has_place := await self.turns.take(PROBE, int, self._stated, until=lambda rate: rate.is_told):
                self._probes.append((images, tokens))
            return has_place
        self._largest = (max(self._largest[0], images), max(self._largest[1], tokens))
        seconds = self._seconds(images, tokens)
        return await self.turns.take(seconds, lambda: following() + self._waiting - 1, self._stated)

    def _seconds(self, images: int, tokens: int) -> float:
        """Return the time between a request and the next at which both limits are kept, whoever sends the next."""
        rates = ((images, self._image_rate), (tokens, self._tokens.per_minute))
        return max(seconds(amount, largest, rate) for (amount, rate), largest in zip(rates, self._largest, strict=True))

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

    @property
    def per_minute(self) -> float | None:
        """The limit."""
        return self._limit

    @property
    def recent(self) -> int:
        """Tokens that started within the last minute; 0 where there is no limit."""
        return self._sum if self._live() and self._limit is not None else 0

    def wait(self, tokens: int) -> float:
        """Return the seconds until more room is made; 0 where so many tokens fit, and do until others are taken."""
        if self._live() and self._limit is not None and self._sum + tokens > self._limit * (1 - MARGIN):
            return self._started[0][0] + MINUTE - self._clock.now()
        return 0.0

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


def seconds(amount: int, largest: int, per_minute: float | None) -> float:
    """Return how far a request must be from the next one where they follow one another without a gap.

    Then no minute holds more than its limit: of those that start in a minute, all but the last end in it, so together
    they are less than the rate here and one `largest`. One that exceeds the limit has a minute for itself.

    amount, largest: images or tokens of this request, and the most of any. per_minute: the limit; None is no limit.
    """
    if per_minute is None or not amount:
        return 0.0
    rate = per_minute * (1 - MARGIN) - (largest - 1)
    return min(amount * MINUTE / rate, MINUTE) if rate > 0 else MINUTE


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
