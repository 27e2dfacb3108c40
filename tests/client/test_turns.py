"""Turns among processes that ask one provider, in time that passes only when asked to."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.client.pace import MARGIN, Pace
from bbquery.client.turns import LATE, Turns
from bbquery.ledger.rates import Rate, Stated
from bbquery.oracle import RateSeen
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger


class Timeline:
    """A clock that several tasks sleep on: the one that is to wake first wakes next."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time + max(seconds, 0.0), next(self._numbers), woken))
        await woken

    async def run(self, *tasks: asyncio.Task[Any]) -> None:
        """Let time pass until all have ended."""
        while not all(task.done() for task in tasks):
            for _ in range(30):  # turns of the loop in which whoever is awake goes to sleep
                await asyncio.sleep(0)
            if self._sleepers:
                self.time, _, woken = heapq.heappop(self._sleepers)
                if not woken.done():
                    woken.set_result(None)


@dataclass
class SharedLedger:
    """What a ledger knows of a provider, without a database. leases: how often one was taken."""

    clock: Timeline | FakeClock
    age: float = 100.0
    company: bool = True
    line: Rate = field(default_factory=lambda: Rate(0.0, 0.0, 0.0))
    leases: int = 0

    def shares_rates(self) -> bool:
        return self.company

    def rate(self, _: str) -> Rate:
        return self.line.at(self.clock.now())

    async def lease(self, _: str, seconds: float, stated: Stated) -> float:
        self.leases += 1
        line = self.line.at(self.clock.now()).stating(*stated)
        self.line = line.leased(seconds)
        return line.begin() - line.seen

    def announce_pause(self, _: str, seconds: float) -> None:
        self.line = self.line.at(self.clock.now()).pausing(seconds)


@pytest.fixture(autouse=True)
def _same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look on the loop's own thread: time is virtual there."""

    async def here(work: Any, *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr("bbquery.client.turns.asyncio.to_thread", here)


def paced(shared: SharedLedger, images: float | None = None, tokens: float | None = None) -> Pace:
    """Return the pace of one more process."""
    pace = Pace(images, tokens, shared.clock)
    pace.turns = Turns(cast("Ledger", shared), "vendor", shared.clock)
    return pace


async def worked(
    pace: Pace, clock: Timeline, busy: list[float], tokens: list[int], starts: list[tuple[float, int]]
) -> None:
    """Start requests, busy for a while after each."""
    for seconds, amount in zip(busy, itertools.cycle(tokens), strict=False):
        await pace.turn(1, amount, following=7)
        starts.append((clock.now(), amount))
        await clock.sleep(seconds)


async def all_worked(paces: list[Pace], clock: Timeline, work: list[list[float]], tokens: list[int]) -> Any:
    starts: list[tuple[float, int]] = []
    tasks = [
        asyncio.create_task(worked(pace, clock, busy, tokens, starts)) for pace, busy in zip(paces, work, strict=True)
    ]
    await clock.run(*tasks)
    for task in tasks:
        task.result()
    return sorted(starts)


def most(starts: list[tuple[float, int]], seconds: float) -> int:
    """Return the most that started within so many seconds."""
    return max(sum(n for other, n in starts if start <= other < start + seconds) for start, _ in starts)


pauses = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 2.0, 30.0]), min_size=1, max_size=15)


@given(rate=st.sampled_from([3.0, 60.0, 600.0]), work=st.lists(pauses, min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
async def test_all_processes_together_keep_a_rate(rate: float, work: list[list[float]]) -> None:
    """However busy each is, no minute holds more images than the limit; a second holds what is late at most besides."""
    clock = Timeline()
    shared = SharedLedger(clock)

    starts = await all_worked([paced(shared, rate) for _ in work], clock, work, [0])

    images = [(start, 1) for start, _ in starts]
    assert most(images, 60) <= rate
    assert most(images, 1) <= 1 + (1 + LATE) * rate / 60


@given(tokens=st.lists(st.integers(1, 1000), min_size=1, max_size=5), work=st.lists(pauses, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
async def test_all_processes_together_keep_tokens(tokens: list[int], work: list[list[float]]) -> None:
    """No minute holds more tokens than the limit, where requests are as large as the largest at most."""
    clock = Timeline()
    shared = SharedLedger(clock)
    paces = [paced(shared, tokens=5000.0) for _ in work]
    for pace in paces:
        pace._largest = (1, max(tokens))  # each has sent a large one before

    starts = await all_worked(paces, clock, work, tokens)

    assert most(starts, 60) <= 5000


async def test_the_rate_is_used_and_the_ledger_hardly() -> None:
    """Four processes with work use all but the margin, and lease about once in a second."""
    clock = Timeline()
    shared = SharedLedger(clock)

    starts = await all_worked([paced(shared, 600.0) for _ in range(4)], clock, [[0.0] * 50] * 4, [0])

    busy = starts[:160]  # as long as all four have work
    assert (len(busy) - 1) / (busy[-1][0] - busy[0][0]) >= 0.99 * 10 * (1 - MARGIN)
    assert shared.leases <= len(starts) / 5


async def test_a_lease_is_no_longer_than_what_waits() -> None:
    """Who has one request takes the time of one, so nothing is left unused; who has many takes a second at most."""
    clock = FakeClock()
    shared = SharedLedger(clock)
    pace = paced(shared, 600.0)
    await pace.turn(1, 0)
    alone = shared.line.leased_until
    await pace.turn(1, 0, following=1000)

    assert alone == pytest.approx(0.1 / (1 - MARGIN), abs=1e-6)
    assert 0.8 < shared.line.leased_until - alone <= 1 + 1e-6


async def test_who_dies_holds_the_others_up_for_a_second_at_most() -> None:
    """What a dead process leased and did not use is all that is lost."""
    clock = FakeClock()
    shared = SharedLedger(clock)
    dead, alive = paced(shared, 600.0), paced(shared, 600.0)
    await dead.turn(1, 0, following=1000)
    died = clock.now()

    await alive.turn(1, 0)

    assert clock.now() - died <= 1


async def test_a_pause_is_heard_by_the_others_within_a_second() -> None:
    """What one process is told, every other obeys, with limits known or without."""
    clock = FakeClock()
    shared = SharedLedger(clock)
    told, free, limited = paced(shared), paced(shared), paced(shared, 600.0)
    for pace in (told, free, limited):
        await pace.turn(1, 0)
    clock.time = 50.0
    told.turns.announce_pause(20.0)  # type: ignore[union-attr] # `paced` gives it one
    clock.time = 51.0
    await free.hear()

    await limited.turn(1, 0)

    assert clock.now() >= 70.0
    assert not free.is_free or clock.now() >= 70.0
    assert free._paused_until == 70.0


async def test_a_limit_that_one_learnt_the_others_keep() -> None:
    """Who joins later knows it before the first request, and waits for a place among all."""
    clock = FakeClock()
    shared = SharedLedger(clock)
    one, late = paced(shared), paced(shared)
    one.learn(RateSeen(requests=60))
    await one.turn(1, 0)
    assert not late.is_free

    await late.turn(1, 0)
    before = clock.now()
    await late.turn(1, 0)

    assert not late.is_free
    assert clock.now() - before == pytest.approx(1 / (1 - MARGIN), abs=LATE)


async def test_who_is_alone_takes_no_lease() -> None:
    """A process alone in a file keeps its own pace, at no cost."""
    clock = FakeClock()
    shared = SharedLedger(clock, company=False)
    pace = paced(shared)

    await pace.turn(1, 0)

    assert shared.leases == 0
    assert pace.is_free


async def test_what_was_started_alone_counts_once_others_come() -> None:
    """Tokens of the last minute, which alone may start at once, are no longer there for those who come."""
    clock = FakeClock()
    shared = SharedLedger(clock, company=False)
    first, second = paced(shared, tokens=1000.0), paced(shared, tokens=1000.0)
    for _ in range(9):
        await first.turn(1, 100)
    shared.company = True
    clock.time = 2.0
    await first.hear()

    await second.turn(1, 100)
    await second.turn(1, 100)

    assert clock.now() >= 60.0


async def test_who_joins_waits_until_the_others_have_noticed() -> None:
    """A process that has only just opened the ledger sends nothing before the others can have looked."""
    clock = FakeClock()
    shared = SharedLedger(clock, age=0.25)

    await paced(shared, 600.0).turn(1, 0)

    assert clock.now() == pytest.approx(1.25)


async def test_company_that_left_counts_for_a_minute() -> None:
    """Whoever was there may have used the rate of the minute that a provider counts."""
    clock = FakeClock()
    shared = SharedLedger(clock)
    pace = paced(shared, 600.0)
    await pace.turn(1, 0)
    shared.company = False
    clock.time = 30.0
    await pace.hear()
    soon = pace._is_shared
    clock.time = 61.0
    await pace.hear()

    assert (soon, pace._is_shared) == (True, False)
