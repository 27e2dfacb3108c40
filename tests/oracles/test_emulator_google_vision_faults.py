"""The faults of the emulator of Google Cloud Vision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from google.rpc import error_details_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types

import oracles.efficientnet
import oracles.google_vision
from bbquery.errors import (
    MalformedAnswer,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
)
from oracles.emulators.google_vision import Faults, GoogleVisionEmulator
from tests.support.google_vision_helpers import ask, ask_at, request_for
from tests.support.google_vision_requests import annotate, attempts
from tests.support.images import png, tiny_images
from tests.support.oracles import colour_oracle, share_of_colours

if TYPE_CHECKING:
    from bbquery.types import Vector

OUTCOMES: dict[str, Any] = {
    "rate_limited": RateLimited,
    "quota": QuotaExceeded,
    "server_error": OutcomeUnknown,
    "timeout": OutcomeUnknown,
    "dropped": OutcomeUnknown,
    "truncated": OutcomeUnknown,
    "junk": MalformedAnswer,
    "drip": list,
    "answered": list,
}


COUNTED = {"server_error": "server_errors", "timeout": "timeouts", "drip": "dripped"}
"""Where the bill counts a fault, if not under its own name."""


# --- faults ---


@pytest.mark.parametrize("fault", [kind for kind in OUTCOMES if kind != "answered"])
async def test_each_fault_reaches_the_client_and_the_bill(fault: str) -> None:
    """The client sees the fault for what it is, and the bill holds just the images that the model answered."""
    model = colour_oracle()
    faults = Faults(seed=1, **{fault: 1.0}, drip_seconds=0)
    emulator = GoogleVisionEmulator(model, faults)
    count = 3 if fault == "timeout" else 8

    found = await attempts(emulator, count, images=2, timeout=0.2 if fault == "timeout" else 10)

    bill = emulator.bill
    assert [type(outcome) for outcome in found] == [OUTCOMES[fault]] * count
    assert vars(bill)[COUNTED.get(fault, fault)] == count
    assert (bill.requests, bill.images_received) == (count, 2 * count)
    billed = 2 * sum(faults.fate(n).billed for n in range(count))
    assert bill.images_answered == len(model.shown) == billed
    assert bill.picodollars == billed * 1_500_000_000


async def test_both_kinds_of_a_servers_failure_are_told() -> None:
    """Half of them are INTERNAL and half UNAVAILABLE; of each, some come after the work was billed."""
    faults = Faults(server_error=1, seed=1)

    found = [str(error) for error in await attempts(GoogleVisionEmulator(colour_oracle(), faults), 8)]

    codes = ["INTERNAL" if faults.fate(n).status == 500 else "UNAVAILABLE" for n in range(8)]
    assert [code in text for code, text in zip(codes, found, strict=True)] == [True] * 8
    assert set(codes) == {"INTERNAL", "UNAVAILABLE"}


async def test_a_rate_limit_comes_with_googles_details() -> None:
    """The unmodified client finds RetryInfo and ErrorInfo, as Google sends them."""
    async with GoogleVisionEmulator(colour_oracle(), Faults(rate_limited=1, retry_after=2.25)).running() as url:
        with pytest.raises(exceptions.ResourceExhausted, match="limit 'Requests per minute'") as caught:
            await annotate(url, request_for(png(tiny_images(1)[0])))
        error = await ask_at(url)

    info, retry = caught.value.details
    assert (info.reason, info.metadata["quota_limit"]) == ("RATE_LIMIT_EXCEEDED", "RequestsPerMinutePerProject")
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (2, 250_000_000)
    assert error.retry_after == 2.25


async def test_a_used_up_quota_comes_with_googles_details() -> None:
    """The unmodified client finds QuotaFailure, and a limit of days."""
    async with GoogleVisionEmulator(colour_oracle(), Faults(quota=1)).running() as url:
        with pytest.raises(exceptions.ResourceExhausted, match="limit 'Requests per day'") as caught:
            await annotate(url, request_for(png(tiny_images(1)[0])))

    (failure,) = [d for d in caught.value.details if isinstance(d, error_details_pb2.QuotaFailure)]
    assert failure.violations[0].description == "Requests per day"


async def test_images_fail_alone_and_are_billed() -> None:
    """A seeded share of the images of answered calls fails, each by itself; the model has answered them all."""
    emulator = GoogleVisionEmulator(colour_oracle(), Faults(seed=2, item_error=0.3))

    found = [outcome for outcomes in await attempts(emulator, 4, images=16) for outcome in outcomes]

    fails = [emulator.faults.item_fails(n, i) for n in range(4) for i in range(16)]
    assert [isinstance(outcome, OutcomeUnknown) for outcome in found] == fails
    assert 0 < sum(fails) < 64
    assert emulator.bill.images_failed == sum(fails)
    assert emulator.bill.images_answered == 64


async def test_images_above_the_rate_are_told_to_wait() -> None:
    """Each image counts; the wait that is told is the one after which there is room, by the emulator's clock."""
    now = 100.0
    emulator = GoogleVisionEmulator(colour_oracle(), Faults(requests_per_minute=20), clock=lambda: now)
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        first, second = await ask(oracle, 16), await ask(oracle, 5)
        now = 159.5
        third = await ask(oracle, 5)
        now = 160.0
        fourth = await ask(oracle, 5)
        await oracle.aclose()

    assert isinstance(first, list)
    assert isinstance(fourth, list)
    assert [type(second), type(third)] == [RateLimited, RateLimited]
    assert [second.retry_after, third.retry_after] == [60, 0.5]
    assert emulator.arrivals == [100] * 21 + [159.5] * 5 + [160] * 5
    assert emulator.bill.rate_limited == 2


async def test_a_request_above_the_whole_rate_is_told_no_time() -> None:
    """What will never be admitted gets no time after which to ask again."""
    (error,) = await attempts(GoogleVisionEmulator(colour_oracle(), Faults(requests_per_minute=3)), 1, images=4)

    assert type(error) is RateLimited
    assert error.retry_after is None


async def test_a_rehearsal_repeats() -> None:
    """Equal seeds give the same outcomes and the same bill, call by call, and each is the fate announced."""
    faults = Faults(seed=7, rate_limited=0.2, server_error=0.2, dropped=0.1, truncated=0.1, junk=0.1, quota=0.1)
    first, second = GoogleVisionEmulator(colour_oracle(), faults), GoogleVisionEmulator(colour_oracle(), faults)

    outcomes = [list(map(type, await attempts(emulator, 25))) for emulator in (first, second)]

    assert outcomes[0] == outcomes[1] == [OUTCOMES[faults.fate(n).kind] for n in range(25)]
    assert first.bill == second.bill
    assert len(set(outcomes[0])) == 5


async def test_latency_and_drops_pass_through_the_sleep_that_was_given() -> None:
    """Each call waits as long as its fate says before it is looked at, and a drip before it is answered."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    faults = Faults(seed=3, latency=0.5, drip=1, drip_seconds=7)
    await attempts(GoogleVisionEmulator(colour_oracle(), faults, sleep=sleep), 2)

    assert slept == [faults.fate(0).latency, 7, faults.fate(1).latency, 7]


async def test_an_answer_that_comes_too_late_is_billed() -> None:
    """A client that has stopped waiting has still had its images answered."""
    late, answered = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        await late.wait()

    def reply(image: Any) -> Vector:
        answered.set()
        return share_of_colours(image)

    emulator = GoogleVisionEmulator(colour_oracle(reply), Faults(latency=1), sleep=sleep)
    async with emulator.running() as url:
        outcome = await ask_at(url, timeout=0.1)
        late.set()
        await answered.wait()
        while not emulator.bill.images_answered:
            await asyncio.sleep(0)

    assert isinstance(outcome, OutcomeUnknown)
    assert emulator.bill.images_answered == 1


async def test_work_that_nobody_waits_for_ends_with_the_server() -> None:
    """A server that stops leaves nothing behind, and bills nothing that was not answered."""
    begun = asyncio.Event()

    async def sleep(_: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    emulator = GoogleVisionEmulator(colour_oracle(), Faults(latency=1), sleep=sleep)
    async with emulator.running() as url:
        attempt = asyncio.create_task(ask_at(url))
        await begun.wait()
    outcome = await attempt

    assert isinstance(outcome, OutcomeUnknown)
    assert emulator.bill.images_answered == 0
    assert not emulator._work


async def test_a_dropped_connection_takes_its_other_calls_along() -> None:
    """One connection carries all calls: when it breaks, all of them are in doubt, billed or not."""
    waiting, go = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await go.wait()

    faults = Faults(seed=4, dropped=0.5, drip=0.5)
    fates = [faults.fate(n).kind for n in range(2)]
    emulator = GoogleVisionEmulator(colour_oracle(), faults, sleep=sleep)
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        held = asyncio.create_task(ask(oracle))
        await waiting.wait()
        dropped = await ask(oracle)
        outcome = await held
        go.set()
        await oracle.aclose()

    assert fates == ["drip", "dropped"]
    assert [type(outcome), type(dropped)] == [OutcomeUnknown, OutcomeUnknown]
    assert emulator.bill.images_answered >= 1
