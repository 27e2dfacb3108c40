"""Turns among processes: this one's part of a provider's rate, in one ledger (`bbquery.ledger.rates`).

1. Whether others may send is looked at once in `LOOK` seconds, with what they know of the provider. Who is alone in a
   SQLite file reads and writes nothing for it, and keeps its own pace (`bbquery.client.pace`).
2. Who finds others has had the ledger open for longer than they take to notice it, or waits for that long.
3. A request starts in a lease, as early as its place and at most `LATE` after it; a place that is missed is lost.
4. Who is refused a lease looks at the line until its place comes up, ever more rarely, so that many who wait are no
   load; where it finds the line dry, it asks at once.
5. Who met others goes on with leases for a minute after the last: so much of the past may count at a provider.
"""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

from bbquery.ledger.rates import CREDIT, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.rates import Rate, Stated
    from bbquery.system.clock import Clock

LOOK = 1.0  # seconds between looks at the others
SLACK = 0.5  # seconds from the last thing that an other sends without having looked, until that has arrived
LONGEST_LEASE = 1.0  # seconds, unless one request takes longer: bounds what is lost with a process
LONGEST_WATCH = 10.0  # seconds between looks at the line of who waits for a place
LATE = CREDIT
REMEMBERED = 60.0  # seconds: the window of a provider's limit
ROUNDED = 1e-6  # seconds


def _never(_: Rate) -> bool:
    return False


class Turns:
    """The turns of this process.

    shared: whether others may take turns too. is_new: whether that is not known yet.
    """

    def __init__(self, ledger: Ledger, provider: str, clock: Clock) -> None:
        self._ledger, self._provider, self._clock = ledger, provider, clock
        self._place = self._end = -math.inf  # what is left of the lease
        self._requests = 1  # of the last lease
        self._looked = self._met = -math.inf
        self.shared, self.is_new = False, True

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at the others."""
        return self._clock.now() - self._looked >= LOOK

    async def look(self) -> Rate | None:
        """Look at the others; return what they know, None where there are none."""
        self._looked = now = self._clock.now()
        if await asyncio.to_thread(self._ledger.shares_rates):
            if not self.shared:
                await self._clock.sleep(max(0.0, LOOK + SLACK - self._ledger.age))
            self._met = now
        self.shared = now - self._met < REMEMBERED
        rate = await asyncio.to_thread(self._ledger.rate, self._provider) if self.shared else None
        self.is_new = False
        return rate

    async def take(
        self, seconds: float, following: Callable[[], int], stated: Stated, until: Callable[[Rate], bool] = _never
    ) -> bool:
        """Wait until a request that takes so many seconds of the rate may start; return whether it may.

        following: how many more like it could start now. stated: the limits that the provider stated here.
        until: whether what a look finds ends the wait; then the request may not start.
        """
        self._place = max(self._place, self._clock.now() - LATE)
        if self._place + seconds > self._end + ROUNDED and not await self._lease(seconds, following, stated, until):
            return False
        wait, self._place = self._place - self._clock.now(), self._place + seconds
        if wait > 0:
            await self._clock.sleep(wait)
        return True

    async def _lease(
        self, seconds: float, following: Callable[[], int], stated: Stated, until: Callable[[Rate], bool]
    ) -> bool:
        """Take the next lease, once the line is near; return whether it has it."""
        up: float | None = None
        looks: Iterator[float] | None = None
        while True:
            requests = max(1, min(1 + following(), int(LONGEST_LEASE / seconds)))
            later = max(requests, self._requests)  # what is in flight now will be answered by then
            place = None if up is None else up - self._clock.now()
            wish = Wish(requests * seconds, later * seconds, place)
            answer = await self._ledger.lease(self._provider, wish, stated)
            if answer.is_leased:
                break
            up = self._clock.now() + answer.seconds
            looks = looks or _looks(answer.dry)
            rate = await self._watch(up, looks, until)
            if rate is not None and until(rate):
                return False
        self._requests = requests
        self._place = self._clock.now() + answer.seconds
        self._end = self._place + requests * seconds
        return True

    async def _watch(self, up: float, looks: Iterator[float], until: Callable[[Rate], bool]) -> Rate | None:
        """Wait until a place comes up, the line is dry, or `until` is; return what the last look found.

        looks: seconds until each.
        """
        rate = None
        while (left := up - self._clock.now()) > 0:
            await self._clock.sleep(min(left, next(looks)))
            rate = await asyncio.to_thread(self._ledger.rate, self._provider)
            if rate.is_dry or until(rate):
                break
        return rate

    async def owe(self, seconds: float) -> None:
        """Leave so many seconds of the rate unused: for what this process started before it took turns."""
        await self._ledger.owe(self._provider, seconds)

    def announce_limits(self, stated: Stated, owed: float) -> None:
        """Let the others know what the provider stated in an answer. owed: seconds of the rate to leave unused."""
        if self.shared:
            self._ledger.announce_limits(self._provider, stated, owed)

    def announce_pause(self, seconds: float) -> None:
        """Let the others know that the provider asked for a pause."""
        if self.shared:
            self._ledger.announce_pause(self._provider, seconds)


def _looks(dry: float) -> Iterator[float]:
    """Yield the seconds until each look at the line: when it is dry if nobody else comes, then ever more rarely."""
    yield dry
    interval = LOOK
    while True:
        yield interval * random.uniform(0.5, 1)  # noqa: S311 - it keeps the looks of many apart
        interval = min(2 * interval, LONGEST_WATCH)
