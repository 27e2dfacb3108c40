"""The rate limit and the faults of the emulator of the http protocol."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles.http
from bbquery.errors import (
    RateLimited,
    UsageError,
)
from bbquery.oracle import RateSeen
from oracles.emulators._faults import SlidingLimit
from oracles.emulators.http import Faults, HttpEmulator
from tests.support.http_requests import OUTCOMES, attempt, attempts, png, post
from tests.support.oracles import colour_oracle

# --- the rate limit ---


async def test_requests_above_the_limit_are_told_to_wait_for_as_long_as_it_takes() -> None:
    """The limit is an exact sliding window, Retry-After is when the next request fits, and arrivals are noted."""
    times = [100.0, 100.5, 100.5, 100.75, 101.0, 101.5, 102.0]
    now = [0.0]
    emulator = HttpEmulator(colour_oracle(), Faults(requests_per_minute=120, window=2), clock=lambda: now[0])
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url)
        seen = []
        found = []
        for now[0] in times:
            found.append(await attempt(oracle))
            seen.append(oracle.rate_seen)
        await oracle.aclose()

    waits = [outcome.retry_after if isinstance(outcome, RateLimited) else 0 for outcome in found]
    assert waits == [0, 0, 0, 0, 1, 1, 0]
    assert emulator.arrivals == times
    assert seen[0] == RateSeen(requests=120, requests_left=3, requests_reset=2.0)
    assert seen[5] == RateSeen(requests=120, requests_left=0, requests_reset=1.25)
    assert (emulator.bill.requests, emulator.bill.rate_limited, emulator.bill.images_answered) == (7, 2, 5)


async def test_without_a_limit_nothing_is_said_of_one() -> None:
    """Headers of a rate limit are sent only where there is one."""
    async with HttpEmulator(colour_oracle()).running() as url:
        oracle = await oracles.http.connect(url=url)
        await attempt(oracle)
        await oracle.aclose()

    assert oracle.rate_seen is None


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 7)), max_size=60),
    st.integers(1, 600),
    st.sampled_from([1.0, 7.5, 60.0]),
)
def test_no_window_holds_more_than_the_limit(steps: list[tuple[float, int]], per_minute: int, window: float) -> None:
    """Whatever comes when, no sliding window admits more; what is turned away fits after the wait, and not before."""
    limit, now, taken = SlidingLimit(per_minute, window), 0.0, list[tuple[float, int]]()
    most = int(per_minute * window // 60)

    def within(end: float) -> int:
        return sum(amount for time, amount in taken if time + window > end)

    for step, amount in steps:
        now += step
        held = within(now)
        assert limit.left(now) == most - held
        wait = limit.take(now, amount)
        if wait == 0:
            taken.append((now, amount))
        elif wait < np.inf:
            assert within(np.nextafter(now + wait, np.inf)) + amount <= most
            assert within(now + wait - 1e-6 * window) + amount > most or wait < 1e-6 * window
        else:
            assert amount > most
        assert (wait > 0) == (held + amount > most)
        assert within(now) <= most


def test_a_place_is_free_as_soon_as_a_window_has_passed() -> None:
    """The wait that is told is exact: it is enough, and one request later another window must pass."""
    limit = SlidingLimit(1, window=60)

    assert limit.take(0.0) == 0
    assert limit.take(15.0) == 45.0
    assert limit.take(60.0) == 0
    assert limit.take(60.0) == 60.0


def test_no_limit_admits_everything() -> None:
    """A limit of 0 is none."""
    limit = SlidingLimit(0)

    assert [limit.take(0.0, 10**9) for _ in range(3)] == [0.0] * 3
    assert (limit.left(0.0), limit.reset(0.0)) == (0, 0.0)


async def test_a_rate_limit_tells_how_long_to_wait() -> None:
    """Retry-After is the fault's, in whole seconds rounded up, as the header wants them."""
    (error,) = await attempts(HttpEmulator(colour_oracle(), Faults(rate_limited=1, retry_after=2.2)), 1)

    assert isinstance(error, RateLimited)
    assert error.retry_after == 3


async def test_a_rehearsal_repeats() -> None:
    """Equal seeds give the same outcomes and the same bill, request by request, and each is the fate announced."""
    faults = Faults(seed=7, rate_limited=0.2, server_error=0.2, dropped=0.2, truncated=0.2)
    first, second = HttpEmulator(colour_oracle(), faults), HttpEmulator(colour_oracle(), faults)

    outcomes = [list(map(type, await attempts(emulator, 25))) for emulator in (first, second)]

    assert outcomes[0] == outcomes[1] == [OUTCOMES[faults.fate(n).kind] for n in range(25)]
    assert first.bill == second.bill
    assert len(set(outcomes[0])) == 3


async def test_latency_passes_before_the_model_is_asked() -> None:
    """Each request waits as long as its fate says, through the sleep that was given."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    faults = Faults(seed=3, latency=0.5)
    await attempts(HttpEmulator(colour_oracle(), faults, sleep=sleep), 3)

    assert slept == [faults.fate(n).latency for n in range(3)]
    assert len(set(slept)) == 3


async def test_the_models_own_concurrency_is_kept() -> None:
    """However many clients ask, the model is asked no more at once than it allows."""

    async def work(_: int) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    fake = colour_oracle(work=work)
    async with HttpEmulator(fake).running() as url:
        await asyncio.gather(*(post(url, [png("RGB")]) for _ in range(8)))

    assert fake.most_in_flight == 2


# --- faults ---


def test_shares_are_met_over_many_requests() -> None:
    """Of 4,000 requests each fault takes its share, half of errors and drops are billed, and latency has its mean."""
    shares = {"rate_limited": 0.05, "quota": 0.05, "server_error": 0.2, "timeout": 0.05, "dropped": 0.25}
    shares |= {"truncated": 0.05, "junk": 0.05, "drip": 0.05}
    faults = Faults(seed=2, latency=0.25, **shares)

    fates = [faults.fate(n) for n in range(4000)]

    kinds = Counter(fate.kind for fate in fates)
    tolerance = 4 * np.sqrt(0.25 / 4000)  # four standard errors of the widest share
    assert {kind: count / 4000 for kind, count in kinds.items()} == pytest.approx(
        shares | {"answered": 0.25}, abs=tolerance
    )
    for kind in ("server_error", "dropped"):
        billed = [fate.billed for fate in fates if fate.kind == kind]
        assert np.mean(billed) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(billed)))
    assert np.mean([fate.latency for fate in fates]) == pytest.approx(0.25, abs=4 * 0.25 / np.sqrt(4000))
    assert {fate.status for fate in fates} == {500, 503}


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 10**6))
def test_a_fate_depends_on_seed_and_number_alone(seed: int, number: int) -> None:
    """The same request of the same seed always meets the same fate; billed is whether the model is asked."""
    fate = Faults(seed=seed, latency=1, rate_limited=0.3, dropped=0.3).fate(number)

    assert fate == Faults(seed=seed, latency=1, rate_limited=0.3, dropped=0.3).fate(number)
    assert fate.billed in {"answered": (True,), "rate_limited": (False,), "dropped": (True, False)}[fate.kind]


def test_seeds_differ() -> None:
    """Another seed is another rehearsal."""
    kinds = [[Faults(seed=seed, dropped=0.5).fate(n).kind for n in range(30)] for seed in (0, 1)]

    assert kinds[0] != kinds[1]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"dropped": -0.1}, "dropped must be at least 0"),
        ({"latency": float("inf")}, "latency must be at least 0 and finite"),
        ({"latency": float("nan")}, "latency must be"),
        ({"seed": -1}, "seed must be"),
        ({"dropped": 0.7, "truncated": 0.4}, "add up to 1.1"),
        ({"item_error": 1.5}, "item_error is a share of images: at most 1, not 1.5"),
        ({"requests_per_minute": 30, "window": 1}, "30 requests a minute are none in a window of 1 s"),
        ({"requests_per_minute": 30, "window": 0}, "none in a window of 0 s"),
    ],
)
def test_impossible_faults_are_refused(options: dict[str, Any], fault: str) -> None:
    """Shares beyond everything, and negative or endless numbers, are found before a server starts."""
    with pytest.raises(UsageError, match=fault):
        Faults(**options)


def test_shares_may_add_up_to_everything() -> None:
    """Rounding of tenths does not refuse a server on which every request fails."""
    faults = Faults(rate_limited=0.2, server_error=0.4, dropped=0.3, truncated=0.1)  # 1.0000000000000002

    assert "answered" not in {faults.fate(n).kind for n in range(100)}


@pytest.mark.parametrize("usd", ["some", "-1", "1/0"])
def test_a_price_that_is_none_is_refused(usd: str) -> None:
    """A bill needs an amount of dollars."""
    with pytest.raises(UsageError, match=f"usd_per_image must .*{usd}"):
        HttpEmulator(colour_oracle(), usd_per_image=usd)
