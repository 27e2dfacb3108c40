"""Pace and concurrency, in time that passes only when asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from asyncio_throttle import throttler
from hypothesis import given
from hypothesis import strategies as st

from bbquery.client.concurrency import FIRST, Concurrency
from bbquery.client.pace import MARGIN, Pace, window
from bbquery.client.provider import provider_of
from bbquery.errors import OutcomeUnknown, RateLimited, UsageError
from bbquery.oracle import Capabilities, Limits, RateSeen
from tests.support.clocks import FakeClock, ManualClock

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture
def virtual(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Give asyncio-throttle the fake clock too."""

    class Time:
        monotonic = staticmethod(clock.now)

    class Asyncio:
        sleep = staticmethod(clock.sleep)

    monkeypatch.setattr(throttler, "time", Time)
    monkeypatch.setattr(throttler, "asyncio", Asyncio)
    return clock


async def starts(pace: Pace, clock: FakeClock, requests: int, *, images: int = 1, tokens: int = 0) -> list[float]:
    found = []
    for _ in range(requests):
        await pace.turn(images, tokens)
        found.append(clock.now())
    return found


def most_in_a_window(times: list[float], seconds: float) -> int:
    return max(sum(start <= t < start + seconds for t in times) for start in times)


@pytest.mark.parametrize(("per_minute", "requests"), [(3000, 500), (60, 30), (12, 6), (1800, 300)])
async def test_a_rate_is_kept_in_every_window_and_used(virtual: FakeClock, per_minute: int, requests: int) -> None:
    """No minute and no second holds more than the rate allows, and at least nine tenths of it are used."""
    times = await starts(Pace(per_minute, None, virtual), virtual, requests)

    assert most_in_a_window(times, 60) <= per_minute
    assert most_in_a_window(times, 1) <= max(1, per_minute / 60)
    assert requests / (times[-1] - times[0]) >= 0.9 * per_minute / 60


async def test_every_image_of_a_batch_counts(virtual: FakeClock) -> None:
    """Batches of 16 at 1,800 images a minute start no faster than single images would."""
    times = await starts(Pace(1800, None, virtual), virtual, 40, images=16)

    assert 16 * len(times[1:]) / (times[-1] - times[0]) <= 30


async def test_tokens_have_a_minute_of_their_own(virtual: FakeClock) -> None:
    """No minute starts more tokens than allowed, and most of them are used."""
    times = await starts(Pace(None, 10_000, virtual), virtual, 60, tokens=1000)

    assert most_in_a_window(times, 60) * 1000 <= 10_000
    assert 60 * 1000 / (times[-1] / 60) >= 0.85 * 10_000


async def test_a_request_larger_than_the_minute_goes_alone(virtual: FakeClock) -> None:
    """A request that needs more tokens than a minute has is let through once nothing else is in it."""
    pace = Pace(None, 1000, virtual)

    times = await starts(pace, virtual, 3, tokens=5000)

    assert times == [0, 60, 120]


async def test_a_pause_holds_everyone(virtual: FakeClock) -> None:
    """Nothing starts before the longest pause that was asked for is over."""
    pace = Pace(None, None, virtual)
    pace.pause(5)
    pace.pause(3)

    assert await starts(pace, virtual, 2) == [5, 5]


async def test_the_oracles_own_word_is_taken_where_it_is_stricter(virtual: FakeClock) -> None:
    """A limit learned from headers slows down; one that is wider than what was given changes nothing."""
    pace = Pace(600, None, virtual)
    pace.learn(RateSeen(requests=6000, tokens=100))
    pace.learn(RateSeen(requests=60))

    times = await starts(pace, virtual, 10, tokens=50)

    assert most_in_a_window(times, 60) <= 2


async def test_nothing_left_means_wait_for_the_reset(virtual: FakeClock) -> None:
    """When the headers say that none is left, nothing starts before the reset they name."""
    pace = Pace(None, None, virtual)
    pace.learn(RateSeen(requests_left=0, requests_reset=7.0))
    pace.learn(RateSeen(tokens_left=0, tokens_reset=9.0))
    pace.learn(RateSeen(requests_left=5, requests_reset=100.0))

    assert await starts(pace, virtual, 1) == [9]


async def test_waiting_is_in_order(virtual: FakeClock) -> None:
    """Who asked first starts first."""
    pace = Pace(60, None, virtual)
    order: list[int] = []

    async def one(number: int) -> None:
        await pace.turn(1, 0)
        order.append(number)

    await asyncio.gather(*(one(n) for n in range(20)))

    assert order == list(range(20))


@given(st.floats(0.01, 1e6))
def test_a_window_never_exceeds_its_rate(per_minute: float) -> None:
    """For every rate the window holds at least one image and keeps the margin."""
    images, period = window(per_minute)

    assert images >= 1
    assert images / period <= per_minute / 60 * (1 - MARGIN) * (1 + 1e-9)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_lets_nothing_through_is_refused(rate: float) -> None:
    """Zero, negative and no number at all are usage errors."""
    with pytest.raises(UsageError, match="lets nothing through"):
        window(rate)


async def test_a_thousand_wait_in_line_and_one_sleeps() -> None:
    """Waiting costs next to nothing: however many wait, one has a timer, and the others wait for it alone."""
    clock = ManualClock()
    pace = Pace(60, None, clock)
    await pace.turn(1, 0)
    waiting = [asyncio.create_task(pace.turn(1, 0)) for _ in range(1000)]
    for _ in range(10):
        await asyncio.sleep(0)
    sleepers = len(clock.sleepers)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert sleepers == 1


# --- concurrency ---


def clean_rounds(concurrency: Concurrency, rounds: int, *, saturated: bool = True) -> list[int]:
    limits = []
    for _ in range(rounds):
        concurrency.started(concurrency.limit if saturated else concurrency.limit - 1)
        for _ in range(concurrency.limit):
            concurrency.answered()
        limits.append(concurrency.limit)
    return limits


def test_it_doubles_until_the_first_objection_then_creeps(clock: FakeClock) -> None:
    """20, 40, 80, 160; a rate limit cuts to four fifths; from then on a twentieth a round."""
    concurrency = Concurrency(1000, adaptive=True, clock=clock)

    doubling = clean_rounds(concurrency, 3)
    concurrency.rate_limited(None)
    cut = concurrency.limit

    assert FIRST == 20
    assert doubling == [40, 80, 160]
    assert cut == 128
    assert clean_rounds(concurrency, 2) == [134, 141]


def test_a_burst_of_refusals_is_one_event(clock: FakeClock) -> None:
    """Refusals within 15 seconds, or within the time the oracle named, cut once."""
    concurrency = Concurrency(100, adaptive=True, clock=clock)
    concurrency.rate_limited(None)
    concurrency.rate_limited(None)
    clock.time = 14.9
    concurrency.rate_limited(None)
    once = concurrency.limit
    clock.time = 15.1
    concurrency.rate_limited(60.0)
    clock.time = 70.0
    concurrency.rate_limited(None)

    assert (once, concurrency.limit) == (16, 12)


def test_it_grows_only_where_the_limit_was_reached(clock: FakeClock) -> None:
    """A plan that asks little does not raise the limit."""
    concurrency = Concurrency(100, adaptive=True, clock=clock)

    assert clean_rounds(concurrency, 3, saturated=False) == [20, 20, 20]


def test_a_failing_server_pauses_growth(clock: FakeClock) -> None:
    """A failure starts the round anew."""
    concurrency = Concurrency(100, adaptive=True, clock=clock)
    concurrency.started(20)
    for _ in range(19):
        concurrency.answered()
    concurrency.failed()
    concurrency.answered()

    assert concurrency.limit == 20


@given(st.lists(st.sampled_from(["ok", "429", "5xx", "later"]), max_size=300), st.integers(1, 64), st.booleans())
def test_it_stays_between_one_and_the_most(events: list[str], most: int, adaptive: bool) -> None:
    """Whatever happens, at least one and at most `most` requests may be in flight; a fixed one never moves."""
    clock = FakeClock()
    concurrency = Concurrency(most, adaptive=adaptive, clock=clock)
    act: dict[str, Callable[[], Any]] = {
        "ok": concurrency.answered,
        "429": lambda: concurrency.rate_limited(None),
        "5xx": concurrency.failed,
        "later": lambda: setattr(clock, "time", clock.time + 20),
    }
    for event in events:
        concurrency.started(concurrency.limit)
        act[event]()
        assert 1 <= concurrency.limit <= most
        assert adaptive or concurrency.limit == most


# --- provider ---


def capabilities(provider: str, **limits: Any) -> Capabilities:
    return Capabilities(name="x", answers="text", identity={}, limits=Limits(**limits), provider=provider)


async def test_oracles_of_one_provider_share_its_limits(clock: FakeClock) -> None:
    """Two connections to one account share slots and pace; others, and nameless ones, do not."""
    first, second = (provider_of(capabilities("acme"), clock) for _ in range(2))
    other, nameless = provider_of(capabilities("else"), clock), provider_of(capabilities(""), clock)

    assert first is second
    assert len({id(p) for p in (first, other, nameless, provider_of(capabilities(""), clock))}) == 4


async def test_a_freed_slot_wakes_whoever_waits(clock: FakeClock) -> None:
    """Runs that share a provider hear of each other's freed slots."""
    provider = provider_of(capabilities("acme", concurrency=1), clock)
    woken: list[int] = []
    provider.waiting.append(lambda: woken.append(1))
    provider.start()
    full = provider.has_a_slot
    provider.end()

    assert (full, provider.has_a_slot, woken) == (False, True, [1])


async def test_it_learns_from_how_requests_end(virtual: FakeClock) -> None:
    """A rate limit pauses the pace and cuts concurrency; it is counted."""
    provider = provider_of(capabilities("", concurrency=50, adaptive=True), virtual)
    provider.learn([RateLimited("slow", retry_after=4.0)], None)
    provider.learn([OutcomeUnknown("lost")], RateSeen(requests_left=0, requests_reset=6.0))
    await provider.pace.turn(1, 0)

    assert virtual.now() == 6.0
    assert provider.rate_limits == 1
    for _ in range(16):
        provider.start()
    assert not provider.has_a_slot
