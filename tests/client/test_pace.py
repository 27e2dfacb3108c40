"""How fast requests may start, whatever comes between them; `test_pace` shows the plain cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.client.pace import MARGIN, SPREAD, Pace, window
from bbquery.errors import UsageError
from bbquery.oracle import RateSeen
from tests.support.clocks import FakeClock

per_minute = st.floats(0.5, 1e6)
busy = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 5.0, 20.0]), max_size=25)


@contextmanager
def throttled_by(clock: FakeClock, *, slowly: float = 1.0) -> Iterator[None]:
    """Let asyncio-throttle, which reads the time itself, live by this clock; `slowly`, look at it less often."""

    async def sleep(seconds: float) -> None:
        await clock.sleep(slowly * seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio_throttle.throttler.time", SimpleNamespace(monotonic=clock.now))
        patch.setattr("asyncio_throttle.throttler.asyncio", SimpleNamespace(sleep=sleep))
        yield


class EventfulClock(FakeClock):
    """Something happens once, while somebody sleeps past a moment."""

    def __init__(self, moment: float, event: Callable[[], None]) -> None:
        super().__init__()
        self._moment, self._event = moment, event

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self.time >= self._moment:
            self._moment = math.inf
            self._event()


async def starts_of(
    pace: Pace, clock: FakeClock, work: list[float], tokens: list[int] | None = None, *, slowly: float = 1.0
) -> list[float]:
    """Return when each request starts, if the caller is busy for `work` seconds after each."""
    starts = []
    with throttled_by(clock, slowly=slowly):
        for request, seconds in enumerate(work):
            await pace.turn(1, tokens[request] if tokens else 0)
            starts.append(clock.now())
            clock.time += seconds
    return starts


# --- a rate as a window ---


@given(per_minute)
def test_a_window_is_the_rate_less_its_margin_and_short(rate: float) -> None:
    """Images over seconds are 95 % of the rate, and those that start together belong to a tenth of a second."""
    images, period = window(rate)

    assert images >= 1
    assert images / period == pytest.approx(rate / 60 * (1 - MARGIN), rel=1e-12)
    assert images == 1 or period <= SPREAD


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    """Nothing at all, less than that, and what is no number let nothing sensible through; no limit is None."""
    with pytest.raises(UsageError, match="a number above 0, or none"):
        window(rate)


# --- images ---


@given(rate=st.sampled_from([15.0, 60.0, 600.0, 3000.0]), work=busy)
@settings(max_examples=25, deadline=None)
async def test_no_window_holds_more_starts_than_its_images(rate: float, work: list[float]) -> None:
    """However busy the caller is between requests, windows see no more than their images, minutes than their rate."""
    clock = FakeClock()
    images, period = window(rate)

    starts = await starts_of(Pace(rate, None, clock), clock, work, slowly=20)

    assert all(last - first > period for first, last in zip(starts, starts[images:], strict=False))
    assert all(sum(start <= other < start + 60 for other in starts) <= rate for start in starts)


async def test_an_unlimited_pace_waits_for_nothing(clock: FakeClock) -> None:
    """Without a rate and without a pause no time passes."""
    await starts_of(Pace(None, None, clock), clock, [0.0] * 1000, [10**6] * 1000)

    assert clock.slept == []


# --- tokens ---


@given(
    limit=st.integers(100, 1000),
    requests=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0.0, 0.5, 7.3, 59.9])), max_size=30),
)
@settings(max_examples=60, deadline=None)
async def test_no_minute_holds_more_tokens_than_its_limit(limit: int, requests: list[tuple[int, float]]) -> None:
    """In any minute the tokens that start stay within the limit, or belong to one request that alone exceeds it."""
    clock = FakeClock()
    tokens, work = [t for t, _ in requests], [w for _, w in requests]

    starts = await starts_of(Pace(None, float(limit), clock), clock, work, tokens)

    for start in starts:
        together = [t for s, t in zip(starts, tokens, strict=True) if start <= s < start + 60 and t]
        assert sum(together) <= limit or len(together) == 1


async def test_tokens_wait_no_longer_than_they_must(clock: FakeClock) -> None:
    """A request goes as soon as enough of the minute before it has passed."""
    starts = await starts_of(Pace(None, 1000.0, clock), clock, [10.0, 10.0, 0.0, 0.0], [500, 400, 300, 600])

    assert starts == [0.0, 10.0, 60.0, 70.0]


async def test_what_is_older_than_a_minute_is_forgotten(clock: FakeClock) -> None:
    """A run of days under a limit of images alone holds no more than a minute of its past."""
    pace = Pace(None, None, clock)

    await starts_of(pace, clock, [1.0] * 1000, [5] * 1000)

    assert len(pace._tokens._started) <= 61


async def test_images_and_tokens_are_both_kept(clock: FakeClock) -> None:
    """The tighter of the two limits decides."""
    starts = await starts_of(Pace(600.0, 100.0, clock), clock, [0.0] * 4, [40] * 4)

    assert starts[1] < 1
    assert starts[2] == pytest.approx(60, abs=1)


# --- pauses ---


async def test_the_longest_pause_counts(clock: FakeClock) -> None:
    """A shorter pause that is asked for later does not shorten a longer one."""
    pace = Pace(None, None, clock)
    pace.pause(10)
    clock.time = 4
    pace.pause(2)

    await pace.turn(1, 0)

    assert clock.time == 10


async def test_a_pause_that_is_asked_for_during_a_pause_is_obeyed() -> None:
    """Whoever waits out a pause waits out a longer one that comes meanwhile."""
    clock = EventfulClock(5, lambda: pace.pause(8))
    pace = Pace(None, None, clock)
    pace.pause(5)

    await pace.turn(1, 0)

    assert clock.time == 13


@pytest.mark.parametrize("limits", [(15.0, None), (None, 100.0)])
async def test_a_pause_that_comes_while_waiting_for_a_slot_is_obeyed(limits: tuple[float | None, float | None]) -> None:
    """A request that waits for its rate does not start in a pause that comes meanwhile, nor in too full a window."""
    clock = EventfulClock(2, lambda: pace.pause(100))
    pace = Pace(*limits, clock)

    starts = await starts_of(pace, clock, [0.0] * 3, [60] * 3)

    assert starts[0] == 0
    assert starts[1] >= 102
    assert starts[2] - starts[1] > 4


# --- what the oracle says of itself ---


@pytest.mark.parametrize("seen", [RateSeen(requests=6000, tokens=10**6), RateSeen(), RateSeen(requests=0)])
async def test_a_limit_of_ones_own_that_is_stricter_stays(seen: RateSeen) -> None:
    """A person may want to go slower than the oracle allows; what an oracle says of nothing is no limit."""
    clock = FakeClock()
    pace = Pace(60.0, 100.0, clock)

    pace.learn(seen)

    starts = await starts_of(pace, clock, [0.0] * 2, [60] * 2)
    assert starts[1] >= 60


async def test_the_strictest_word_stays() -> None:
    """An oracle that names two limits, one after the other, is asked at the lower."""
    clock = FakeClock()
    pace = Pace(None, None, clock)

    for requests in (60, 30, 90):
        pace.learn(RateSeen(requests=requests))

    starts = await starts_of(pace, clock, [0.0] * 2)
    assert starts[1] == pytest.approx(60 / 30 / (1 - MARGIN), abs=0.01)
