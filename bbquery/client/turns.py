"""Turns among processes: this one's part of a provider's rate, in one ledger (`bbquery.ledger.rates`).

1. Whether others may send is looked at once in `LOOK` seconds, with what they know of the provider. Who is alone in a
   SQLite file reads and writes nothing for it, and keeps its own pace (`bbquery.client.pace`).
2. Who finds others has had the ledger open for longer than they take to notice it, or waits for that long.
3. A request starts in a lease, as early as its place and at most `LATE` after it; a place that is missed is lost.
4. Who met others goes on with leases for a minute after the last: so much of the past may count at a provider.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bbquery.ledger.rates import CREDIT

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.rates import Rate, Stated
    from bbquery.system.clock import Clock

LOOK = 1.0  # seconds between looks at the others
SLACK = 0.5  # seconds from the last thing that an other sends without having looked, until that has arrived
LONGEST_LEASE = 1.0  # seconds, unless one request takes longer: bounds what is lost with a process
LATE = CREDIT
REMEMBERED = 60.0  # seconds: the window of a provider's limit
ROUNDED = 1e-6  # seconds


class Turns:
    """The turns of this process.

    shared: whether others may take turns too. is_new: whether that is not known yet.
    """

    def __init__(self, ledger: Ledger, provider: str, clock: Clock) -> None:
        self._ledger, self._provider, self._clock = ledger, provider, clock
        self._place = self._end = -math.inf  # what is left of the lease
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

    async def take(self, seconds: float, following: int, stated: Stated) -> None:
        """Wait until a request that takes so many seconds of the rate may start.

        following: how many more like it could start by then. stated: the limits that the provider stated here.
        """
        self._place = max(self._place, self._clock.now() - LATE)
        if self._place + seconds > self._end + ROUNDED:
            requests = max(1, min(1 + following, int(LONGEST_LEASE / seconds)))
            begin = await self._ledger.lease(self._provider, requests * seconds, stated)
            self._place = self._clock.now() + begin
            self._end = self._place + requests * seconds
        wait, self._place = self._place - self._clock.now(), self._place + seconds
        if wait > 0:
            await self._clock.sleep(wait)

    async def owe(self, seconds: float, stated: Stated) -> None:
        """Leave so many seconds of the rate unused: for what this process started before it took turns."""
        await self._ledger.lease(self._provider, seconds, stated)

    def announce_pause(self, seconds: float) -> None:
        """Let the others know that the provider asked for a pause."""
        if self.shared:
            self._ledger.announce_pause(self._provider, seconds)
