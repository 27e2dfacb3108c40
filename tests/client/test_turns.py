"""Turns among processes that ask one provider, in time that passes only when asked to."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared_rates import MINUTE, SharedLine, VirtualLoop, Worker, virtually

from bbquery.client.pace import MARGIN, Pace
from bbquery.client.turns import LATE, LONGEST_LEASE, LONGEST_WATCH, Turns
from bbquery.ledger.rates import IN_TURN
from bbquery.oracle import RateSeen
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger


@pytest.fixture(autouse=True)
def _same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look on the loop's own thread: time is virtual there."""

    async def here(work: Any, *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr("bbquery.client.turns.asyncio.to_thread", here)


def paced(
    shared: SharedLine, clock: FakeClock | VirtualLoop, images: float | None = None, tokens: float | None = None
) -> Pace:
    """Return the pace of one more process."""
    pace = Pace(images, tokens, clock)
    pace.turns = Turns(cast("Ledger", shared), "vendor", clock)
    return pace


async def worked(
    pace: Pace, clock: VirtualLoop, busy: list[float], tokens: list[int], starts: list[tuple[float, int]]
) -> None:
    """Start requests, busy for a while after each."""
    for seconds, amount in zip(busy, itertools.cycle(tokens), strict=False):
        await pace.turn(1, amount, lambda: 7)
        starts.append((clock.now(), amount))
        await clock.sleep(seconds)


def all_worked(
    work: list[list[float]], amounts: list[int], **limits: float
) -> tuple[list[tuple[float, int]], SharedLine]:
    """Let as many processes start requests, and return when each started, with its tokens, and the line."""
    starts: list[tuple[float, int]] = []

    async def together(clock: VirtualLoop) -> SharedLine:
        shared = SharedLine(clock.now)
        async with asyncio.TaskGroup() as tasks:
            for busy in work:
                pace = paced(shared, clock, **limits)
                pace._largest = (1, max(amounts))  # each has sent a large one before
                tasks.create_task(worked(pace, clock, busy, amounts, starts))
        return shared

    shared = virtually(together)
    return sorted(starts), shared


def most(starts: list[tuple[float, int]], seconds: float) -> int:
    """Return the most that started within so many seconds."""
    return max(sum(n for other, n in starts if start <= other < start + seconds) for start, _ in starts)


pauses = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 2.0, 30.0]), min_size=1, max_size=15)


@given(rate=st.sampled_from([3.0, 60.0, 600.0]), work=st.lists(pauses, min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_all_processes_together_keep_a_rate(rate: float, work: list[list[float]]) -> None:
    """However busy each is, no minute holds more images than the limit; a second holds what is late at most besides."""
    starts, _ = all_worked(work, [0], images=rate)

    images = [(start, 1) for start, _ in starts]
    assert most(images, 60) <= rate
    assert most(images, 1) <= 1 + (1 + LATE) * rate / 60


@given(tokens=st.lists(st.integers(1, 1000), min_size=1, max_size=5), work=st.lists(pauses, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_all_processes_together_keep_tokens(tokens: list[int], work: list[list[float]]) -> None:
    """No minute holds more tokens than the limit, where requests are as large as the largest at most."""
    starts, _ = all_worked(work, tokens, tokens=5000.0)

    assert most(starts, 60) <= 5000


def test_the_rate_is_used_and_the_ledger_hardly() -> None:
    """Four processes with work use all but the margin, and lease about once in a second."""
    starts, shared = all_worked([[0.0] * 50] * 4, [0], images=600.0)

    busy = starts[:160]  # as long as all four have work
    assert (len(busy) - 1) / (busy[-1][0] - busy[0][0]) >= 0.99 * 10 * (1 - MARGIN)
    assert shared.refusals <= shared.leases <= len(starts) / 5


# --- fleets: workers who always have more to ask ---


class Fleet:
    """Workers with four slots whose answers take half a second."""

    def __init__(self, loop: VirtualLoop, workers: int, rate: float) -> None:
        self.loop, self.rate, self.shared = loop, rate, SharedLine(loop.now)
        self.workers = [Worker(self.shared, loop, rate, slots=4) for _ in range(workers)]
        self._tasks = [asyncio.create_task(worker.work(lambda: 0.5)) for worker in self.workers]

    def die(self, workers: int) -> None:
        """Stop so many at once, in mid-lease or waiting for one."""
        for task in self._tasks[:workers]:
            task.cancel()

    def used(self, begin: float, end: float) -> float:
        """Return which share of the rate was used."""
        started = sum(begin <= start < end for worker in self.workers for start in worker.starts)
        return started / (end - begin) / (self.rate / MINUTE)


def soonest(rate: float) -> float:
    """Return when somebody new starts at the latest, in seconds: a line ends so soon, whoever shares it."""
    return IN_TURN + max(LONGEST_LEASE, MINUTE / rate / (1 - MARGIN))


@given(
    workers=st.integers(1, 40),
    rate=st.sampled_from([6.0, 60.0, 1200.0]),
    lives=st.floats(0.1, 90),
    pause=st.sampled_from([0.0, 5.0, 30.0]),
)
@example(workers=6, rate=6.0, lives=1.0, pause=5.0)
@settings(max_examples=20, deadline=None)
def test_who_comes_after_a_fleet_stopped_waits_no_longer_for_a_larger_one(
    workers: int, rate: float, lives: float, pause: float
) -> None:
    """The line ends within a bound that does not grow with the number of workers, whenever they stop at once."""

    async def run(loop: VirtualLoop) -> tuple[float, float, float]:
        fleet = Fleet(loop, workers, rate)
        await loop.sleep(lives)
        fleet.shared.announce_pause("vendor", pause)
        await loop.sleep(2 * pause)
        fleet.die(workers)
        ahead = fleet.shared.line.leased_until - loop.now()
        began = loop.now()
        await paced(fleet.shared, loop, images=rate).turn(1, 0)
        return fleet.shared.ahead, ahead, loop.now() - began

    at_most, ahead, waited = virtually(run)

    assert ahead <= at_most <= soonest(rate) + 1e-6
    assert waited <= soonest(rate) + LATE


def test_in_a_fleet_each_worker_has_its_turn_and_the_ledger_little_work() -> None:
    """200 workers use all but the margin, none has less than half its share, and each asks the ledger rarely."""

    async def run(loop: VirtualLoop) -> tuple[float, float, float]:
        fleet = Fleet(loop, 200, 1800.0)
        await loop.sleep(150)
        served = [len(worker.starts) for worker in fleet.workers]
        asked = (fleet.shared.leases + fleet.shared.refusals + fleet.shared.looks) / 150
        return fleet.used(10, 150), min(served) / (sum(served) / 200), asked

    used, least, asked = virtually(run)

    assert used >= 0.99 * (1 - MARGIN)
    assert least >= 0.5
    assert asked <= 200 / 2


def test_who_is_left_of_a_fleet_soon_uses_the_whole_rate() -> None:
    """Where most of those who have a place die, the others do not wait for theirs."""

    async def run(loop: VirtualLoop) -> float:
        fleet = Fleet(loop, 100, 1800.0)
        await loop.sleep(30)
        fleet.die(80)
        await loop.sleep(30)
        return fleet.used(30 + LONGEST_WATCH + soonest(1800), 60)

    assert virtually(run) >= 0.99 * (1 - MARGIN)


# --- one and another ---


async def test_a_lease_is_no_longer_than_what_waits() -> None:
    """Who has one request takes the time of one, so nothing is left unused; who has many takes a second at most."""
    clock = FakeClock()
    shared = SharedLine(clock.now)
    pace = paced(shared, clock, 600.0)
    await pace.turn(1, 0)
    alone = shared.line.leased_until
    await pace.turn(1, 0, lambda: 1000)

    assert alone == pytest.approx(0.1 / (1 - MARGIN), abs=1e-6)
    assert 0.8 < shared.line.leased_until - alone <= 1 + 1e-6


async def test_who_dies_holds_the_others_up_for_a_second_at_most() -> None:
    """What a dead process leased and did not use is all that is lost."""
    clock = FakeClock()
    shared = SharedLine(clock.now)
    dead, alive = paced(shared, clock, 600.0), paced(shared, clock, 600.0)
    await dead.turn(1, 0, lambda: 1000)
    died = clock.now()

    await alive.turn(1, 0)

    assert clock.now() - died <= 1


async def test_a_pause_is_heard_by_the_others_within_a_second() -> None:
    """What one process is told, every other obeys, with limits known or without."""
    clock = FakeClock()
    shared = SharedLine(clock.now)
    told, free, limited = paced(shared, clock), paced(shared, clock), paced(shared, clock, 600.0)
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
    shared = SharedLine(clock.now)
    one, late = paced(shared, clock), paced(shared, clock)
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
    shared = SharedLine(clock.now, company=False)
    pace = paced(shared, clock)

    await pace.turn(1, 0)

    assert shared.leases == 0
    assert pace.is_free


async def test_what_was_started_alone_counts_once_others_come() -> None:
    """Tokens of the last minute, which alone may start at once, are no longer there for those who come."""
    clock = FakeClock()
    shared = SharedLine(clock.now, company=False)
    first, second = paced(shared, clock, tokens=1000.0), paced(shared, clock, tokens=1000.0)
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
    shared = SharedLine(clock.now, age=0.25)

    await paced(shared, clock, 600.0).turn(1, 0)

    assert clock.now() == pytest.approx(1.25)


async def test_company_that_left_counts_for_a_minute() -> None:
    """Whoever was there may have used the rate of the minute that a provider counts."""
    clock = FakeClock()
    shared = SharedLine(clock.now)
    pace = paced(shared, clock, 600.0)
    await pace.turn(1, 0)
    shared.company = False
    clock.time = 30.0
    await pace.hear()
    soon = pace._is_shared
    clock.time = 61.0
    await pace.hear()

    assert (soon, pace._is_shared) == (True, False)
