"""How fast requests may start, in time that passes only when somebody sleeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.limiter import LONGEST_PERIOD, Pace, as_window
from tests.conftest import FakeClock

rates = st.floats(1 / 60, 1e4) | st.builds(Fraction, st.integers(1, 600), st.integers(1, 60)).map(float)


@contextmanager
def throttled_by(clock: FakeClock) -> Iterator[None]:
    """Let asyncio-throttle, which reads the time itself, live by this clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio_throttle.throttler.time", SimpleNamespace(monotonic=clock.now))
        patch.setattr("asyncio_throttle.throttler.asyncio", SimpleNamespace(sleep=clock.sleep))
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


# --- a rate as a window ---


@given(rates)
def test_a_window_never_exceeds_the_rate_and_is_the_best_within_the_longest_period(rate: float) -> None:
    """Of all whole numbers of requests in 1 to 60 whole seconds, none is nearer to the rate from below.

    A float may miss the number that was meant by a rounding: a billionth more than the float is allowed for that.
    """
    requests, period = as_window(rate)

    allowed = Fraction(rate) + Fraction(1, 10**9)
    others = [Fraction(int(Fraction(rate) * seconds), seconds) for seconds in range(1, LONGEST_PERIOD + 1)]
    assert 1 <= period <= LONGEST_PERIOD
    assert requests >= 1
    assert max(others) <= Fraction(requests, period) <= allowed


@pytest.mark.parametrize("period", [1, 3, 7, 10, 49, 60])
def test_every_fraction_of_a_minute_is_met_exactly(period: int) -> None:
    """A rate like 1/3, 0.7 or 1/60 has no exact float, and yet loses nothing."""
    for requests in range(1, 3 * period):
        wanted = Fraction(requests, period)
        assert as_window(requests / period) == (wanted.numerator, wanted.denominator)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1 / 61, 1e-9])
def test_a_rate_below_one_a_minute_is_refused(rate: float) -> None:
    """What the window cannot express is said, not rounded up."""
    with pytest.raises(UsageError, match="too slow: at least one in 60 seconds"):
        as_window(rate)


@pytest.mark.parametrize("rate", [math.inf, -math.inf, math.nan])
def test_a_rate_that_is_no_number_is_refused(rate: float) -> None:
    """Infinity is not how to say unlimited."""
    with pytest.raises(UsageError, match="None for unlimited"):
        as_window(rate)


# --- pace ---


async def starts_of(pace: Pace, clock: FakeClock, work: list[float]) -> list[float]:
    """Return when each request starts, if the caller is busy for `work` seconds after each."""
    starts = []
    for seconds in work:
        await pace.turn()
        starts.append(clock.now())
        clock.time += seconds
    return starts


@given(
    rate=st.sampled_from([0.25, 0.7, 1.0, 2.5, 10.0]),
    work=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 5.0]), max_size=40),
)
@settings(max_examples=40, deadline=None)
async def test_no_window_holds_more_starts_than_its_rate(rate: float, work: list[float]) -> None:
    """However busy the caller is between requests, any period of the window sees at most its number of starts."""
    clock = FakeClock()
    requests, period = as_window(rate)
    with throttled_by(clock):
        starts = await starts_of(Pace(rate, clock), clock, work)

    spans = [last - first for first, last in zip(starts, starts[requests:], strict=False)]
    assert all(span > period for span in spans)


async def test_a_busy_caller_gets_the_rate_it_was_promised() -> None:
    """With 2.5 requests a second, 50 starts take the 18 seconds of nine windows, and a hundredth more for each."""
    clock = FakeClock()
    with throttled_by(clock):
        starts = await starts_of(Pace(2.5, clock), clock, [0.0] * 50)

    assert 18 < starts[-1] < 18.2


async def test_an_unlimited_pace_waits_for_nothing(clock: FakeClock) -> None:
    """Without a rate and without a pause no time passes."""
    await starts_of(Pace(None, clock), clock, [0.0] * 1000)

    assert clock.slept == []


@pytest.mark.parametrize("rate", [None, 10.0])
async def test_nothing_starts_during_a_pause(rate: float | None, clock: FakeClock) -> None:
    """After a pause of 7.5 seconds the next request starts 7.5 seconds later; then the pace is as before."""
    pace = Pace(rate, clock)
    with throttled_by(clock):
        await pace.turn()
        pace.pause(7.5)
        starts = await starts_of(pace, clock, [0.0] * 3)

    assert starts == [7.5] * 3


async def test_the_longest_pause_counts(clock: FakeClock) -> None:
    """A shorter pause that is asked for later does not shorten a longer one."""
    pace = Pace(None, clock)
    pace.pause(10)
    clock.time = 4
    pace.pause(2)

    await pace.turn()

    assert clock.time == 10


async def test_a_pause_that_is_asked_for_during_a_pause_is_obeyed() -> None:
    """Whoever waits out a pause waits out a longer one that comes meanwhile."""
    clock = EventfulClock(5, lambda: pace.pause(8))
    pace = Pace(None, clock)
    pace.pause(5)

    await pace.turn()

    assert clock.time == 13


async def test_a_pause_that_is_asked_for_while_waiting_for_a_slot_is_obeyed() -> None:
    """A request that waits for its rate does not start in a pause that comes meanwhile, nor in too full a window."""
    clock = EventfulClock(2, lambda: pace.pause(11))
    pace = Pace(0.25, clock)
    with throttled_by(clock):
        starts = await starts_of(pace, clock, [0.0] * 3)

    assert starts[0] == 0
    assert starts[1] >= 13
    assert starts[2] - starts[1] > 4
