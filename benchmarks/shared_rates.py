"""Workers that share a provider's rate, simulated: the client's own pace and the ledger's own line, in virtual time.

`benchmarks/fleet.py --shared-rates` prints what this finds. Each worker keeps its slots busy by `bbquery.client.pace`,
and leases by `bbquery.ledger.rates`. Only the database is not there, so the ledger answers at once, and time passes
only as workers sleep, so that an hour of a thousand workers takes a minute.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from bbquery.client.pace import Pace
from bbquery.client.turns import LONGEST_LEASE, Turns
from bbquery.ledger.rates import Answer, Rate, Stated, Wish

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.ledger.ledger import Ledger

R = TypeVar("R")
MINUTE = 60.0  # seconds
SETTLED = 5.0  # seconds until every worker has looked at the others
LONG_OPEN = 100.0  # seconds for which a worker has had the ledger open: all others have noticed it


class _Jump(selectors.SelectSelector):
    """Lets time pass at once rather than wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which time passes only while all sleep; what would run on a thread runs at once."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jump.now

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override] # any work
        """Run it here."""
        done: asyncio.Future[Any] = self.create_future()
        done.set_result(func(*args))
        return done

    # The clock of the client:

    def now(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jump.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


def virtually(work: Callable[[VirtualLoop], Coroutine[Any, Any, R]]) -> R:
    """Run it in virtual time."""

    async def run() -> R:
        return await work(cast("VirtualLoop", asyncio.get_running_loop()))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


@dataclass
class SharedLine:
    """A ledger that knows of nothing but one provider's line.

    now: seconds. age, company: as of a ledger. leases, refusals, looks: how often one was taken, put off, or read.
    ahead: seconds from now until the line ended, at most.
    """

    now: Callable[[], float]
    age: float = LONG_OPEN
    company: bool = True
    line: Rate = field(default_factory=lambda: Rate(0.0, 0.0, 0.0, 0.0))
    leases: int = 0
    refusals: int = 0
    looks: int = 0
    ahead: float = 0.0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Leases, refusals and looks so far."""
        return np.array([self.leases, self.refusals, self.looks])

    def shares_rates(self) -> bool:
        """Whether others may send."""
        return self.company

    def rate(self, _: str) -> Rate:
        """Read the line."""
        self.looks += 1
        return self.line.at(self.now())

    async def lease(self, _: str, wish: Wish, stated: Stated) -> Answer:
        """Lease a stretch of it."""
        line = self.line.at(self.now())
        self.line, answer = (line.told(*stated) if any(stated) else line).asked(wish)
        self.leases += answer.is_leased
        self.refusals += not answer.is_leased
        self.ahead = max(self.ahead, self.line.leased_until - self.line.seen)
        return answer

    async def owe(self, _: str, seconds: float) -> None:
        """Leave some of it unused."""
        self.line = self.line.at(self.now()).leased(seconds)

    def announce_limits(self, _: str, stated: Stated, owed: float) -> None:
        """Note limits, and leave some of it unused."""
        line = self.line.at(self.now()).told(*stated)
        self.line = line.leased(owed) if owed else line

    def announce_pause(self, _: str, seconds: float) -> None:
        """Note a pause."""
        self.line = self.line.at(self.now()).pausing(seconds)


class Worker:
    """A process that always has more to ask. starts: when each request started."""

    def __init__(self, shared: SharedLine, loop: VirtualLoop, per_minute: float | None, slots: int) -> None:
        self.pace = Pace(per_minute, None, loop)
        self.pace.turns = Turns(cast("Ledger", shared), "vendor", loop)
        self._loop, self._free, self._freed = loop, slots, asyncio.Event()
        self.starts: list[float] = []

    async def work(self, latency: Callable[[], float]) -> None:
        """Ask for ever. latency: seconds of the next answer."""
        while True:
            while not self._free:
                self._freed.clear()
                await self._freed.wait()
            await self.pace.turn(1, 0, lambda: self._free - 1)
            self._free -= 1
            self.starts.append(self._loop.now())
            self._loop.call_later(latency(), self._answered)

    def _answered(self) -> None:
        self._free += 1
        self._freed.set()


@dataclass(frozen=True)
class Found:
    """What sharing a rate asks of a ledger, and gives.

    leases, refusals, looks: a second. used: share of the rate. ahead: seconds that the line ends from now, at most.
    left: seconds that somebody new waits after all stopped at once. most: requests in any minute, over the limit.
    least: requests of the worker that had fewest, over the mean of all.
    """

    leases: float
    refusals: float
    looks: float
    used: float
    ahead: float
    left: float
    most: float
    least: float


@dataclass(frozen=True)
class Sharing:
    """Workers that share a rate. latency: seconds of an answer, median; log-normal with a spread of a third."""

    workers: int
    slots: int
    latency: float
    per_minute: float

    def simulated(self, seed: int) -> Found:
        """Let them work until each had its turn some times; then stop all, and let one more ask."""
        lengths = np.random.default_rng(seed)

        def latency() -> float:
            return float(lengths.lognormal(np.log(self.latency), 1 / 3))

        async def run(loop: VirtualLoop) -> Found:
            shared = SharedLine(loop.now)
            fleet = [Worker(shared, loop, self.per_minute, self.slots) for _ in range(self.workers)]
            tasks = [asyncio.create_task(each.work(latency)) for each in fleet]
            first = SETTLED + self.workers * self._turn
            await loop.sleep(first)
            before = shared.counts
            await loop.sleep(max(2 * first, 2 * MINUTE))
            counted = loop.now() - first
            leases, refusals, looks = ((shared.counts - before) / counted).tolist()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            starts = sorted(start for each in fleet for start in each.starts)
            served = np.array([sum(start >= first for start in each.starts) for each in fleet])
            return Found(
                leases=leases,
                refusals=refusals,
                looks=looks,
                used=float(served.sum()) / counted / (self.per_minute / MINUTE),
                most=most(starts) / self.per_minute,
                least=float(served.min() / served.mean()),
                ahead=shared.ahead,
                left=await self._left(shared, loop),
            )

        return virtually(run)

    @property
    def _turn(self) -> float:
        """Seconds of the rate that a worker takes at once."""
        request = MINUTE / self.per_minute
        return max(request, min(self.slots * request, LONGEST_LEASE))

    async def _left(self, shared: SharedLine, loop: VirtualLoop) -> float:
        """Return how long one more waits for its first request."""
        began = loop.now()
        await Worker(shared, loop, self.per_minute, 1).pace.turn(1, 0)
        return loop.now() - began


def most(starts: list[float], window: float = MINUTE) -> int:
    """Return the most that started within a window of so many seconds. starts: in order."""
    recent: deque[float] = deque()
    found = 0
    for start in starts:
        recent.append(start)
        while recent[0] <= start - window:
            recent.popleft()
        found = max(found, len(recent))
    return found
