"""The faults, the limits and the bill of the OpenAI emulator."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import (
    MalformedAnswer,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    UsageError,
)
from bbquery.types import NoAnswer, Reply
from bbquery.units import Units
from oracles._http import waits
from oracles.emulators._openai_refusals import duration
from oracles.emulators.openai import Bill, Faults, OpenAIEmulator
from tests.support.openai_helpers import MODELS, answered, ask, connected, image
from tests.support.openai_requests import CLASSES, outcome
from tests.support.oracles import colour_oracle

OUTCOMES: dict[str, type[object]] = {
    "rate_limited": RateLimited,
    "quota": QuotaExceeded,
    "server_error": OutcomeUnknown,
    "timeout": OutcomeUnknown,
    "dropped": OutcomeUnknown,
    "truncated": OutcomeUnknown,
    "junk": MalformedAnswer,
    "drip": Reply,
    "refusal": Reply,
    "content_filter": Reply,
}


pytestmark = pytest.mark.usefixtures("openai_key")


# --- faults ---


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("fault", OUTCOMES)
async def test_each_fault_is_reported_as_what_it_may_have_cost(fault: str, api: str) -> None:
    """On the client's side; and the server bills what its model was run for."""
    faults: dict[str, Any] = {fault: 1.0, "drip_seconds": 0.01}
    emulator = OpenAIEmulator(colour_oracle(), Faults(**faults))
    timeout = 0.3 if fault == "timeout" else 30.0
    async with emulator.running() as url, connected(url, api=api, timeout=timeout) as oracle:
        found = [await outcome(oracle) for _ in range(1 if fault == "timeout" else 6)]

    assert {type(each) for each in found} == {OUTCOMES[fault]}
    assert emulator.bill.images_answered == sum(emulator.faults.fate(i).billed for i in range(len(found)))
    assert (emulator.bill.picodollars > 0) == (emulator.bill.images_answered > 0)
    assert counted(emulator.bill, fault) == len(found)


def counted(bill: Bill, fault: str) -> int:
    names = {"server_error": "server_errors", "timeout": "timeouts", "drip": "dripped", "refusal": "refused"}
    return int(getattr(bill, names.get(fault, {"content_filter": "filtered"}.get(fault, fault))))


@pytest.mark.parametrize(("fault", "kind"), [("refusal", "refused"), ("content_filter", "filtered")])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_a_model_will_not_say_is_no_answer(fault: str, kind: str, api: str) -> None:
    """It is paid all the same."""
    faults: dict[str, Any] = {fault: 1.0}
    emulator = OpenAIEmulator(colour_oracle(), Faults(**faults))
    async with emulator.running() as url:
        reply = await answered(url, api=api)

    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == kind
    assert reply.cost == units(emulator.bill)


async def test_the_seed_and_the_number_decide_a_fate() -> None:
    """The same rehearsal fails in the same way, and another seed in another."""

    async def kinds(seed: int) -> list[str]:
        faults = Faults(seed=seed, rate_limited=0.2, server_error=0.2, dropped=0.2, junk=0.2, refusal=0.5)
        async with OpenAIEmulator(colour_oracle(), faults).running() as url, connected(url) as oracle:
            found = [await outcome(oracle) for _ in range(12)]
        return [str(each.answer) if isinstance(each, Reply) else type(each).__name__ for each in found]

    assert await kinds(1) == await kinds(1)
    assert await kinds(1) != await kinds(2)


async def test_latency_passes_before_anything_is_done() -> None:
    """By the sleep that was given."""
    slept: list[float] = []

    async def sleep(passing: float) -> None:
        slept.append(passing)

    async with OpenAIEmulator(colour_oracle(), Faults(latency=2.0), sleep=sleep).running() as url:
        await answered(url)

    assert slept == [Faults(latency=2.0).fate(0).latency]


@pytest.mark.parametrize(
    "wrong",
    [
        {"refusal": 0.6, "content_filter": 0.6},
        {"cached": 1.1},
        {"cache_written": 1.1},
        {"tier_change": 1.1},
        {"refusal": -0.1},
        {"tokens_per_minute": float("inf")},
        {"rate_limited": 2.0},
    ],
)
def test_faults_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Shares above 1, and numbers below 0."""
    with pytest.raises(UsageError):
        Faults(**wrong)


async def test_another_fingerprint_answers_after_a_while() -> None:
    """So that a drift can be rehearsed."""
    async with OpenAIEmulator(colour_oracle(), Faults(drift_after=2)).running() as url:
        served = [(await answered(url)).served for _ in range(4)]

    assert served[0] == served[1] != served[2] == served[3]


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# --- limits ---


async def test_requests_above_the_limit_are_told_to_wait() -> None:
    """For as long as it takes; the headers say what is left, as the vendor's do."""
    clock = Clock()
    emulator = OpenAIEmulator(colour_oracle(), Faults(requests_per_minute=2), clock=clock)
    async with emulator.running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        clock.now = 110.0
        await oracle.answer([oracle.encode(image())])
        seen = oracle.rate_seen
        with pytest.raises(RateLimited) as caught:
            await oracle.answer([oracle.encode(image())])
        clock.now = 160.0
        await oracle.answer([oracle.encode(image())])

    assert seen is not None
    assert (seen.requests, seen.requests_left, seen.requests_reset) == (2, 0, 60.0)
    assert caught.value.retry_after == 50.0
    assert emulator.arrivals == [100.0, 110.0, 110.0, 160.0]
    assert emulator.bill.rate_limited == 1
    assert emulator.bill.images_answered == 3


async def test_tokens_above_the_limit_are_told_to_wait() -> None:
    """A request counts for its cap or its prompt, whichever is more."""
    clock = Clock()
    emulator = OpenAIEmulator(colour_oracle(), Faults(tokens_per_minute=5000), clock=clock)
    async with emulator.running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        seen = oracle.rate_seen
        with pytest.raises(RateLimited) as caught:
            await oracle.answer([oracle.encode(image())])

    assert seen is not None
    assert seen.tokens == 5000
    assert seen.tokens_left == 5000 - emulator.bill.prompt_tokens
    assert caught.value.retry_after == 60.0


async def test_a_request_above_the_whole_limit_is_told_no_time() -> None:
    """Waiting is no help."""
    async with OpenAIEmulator(colour_oracle(), Faults(tokens_per_minute=60)).running() as url:
        with pytest.raises(RateLimited, match="too large") as caught:
            await ask(url, model="gpt-4o", max_tokens=1000)

    assert caught.value.retry_after is None


async def test_without_a_limit_nothing_is_said_of_one() -> None:
    """There is nothing to learn."""
    async with OpenAIEmulator(colour_oracle()).running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        assert oracle.rate_seen is None


@given(st.floats(0, 100_000))
def test_durations_are_read_as_they_are_written(passing: float) -> None:
    """To the millisecond, rounded up: whoever waits so long is not refused again."""
    read_back = waits.duration(duration(passing))

    assert read_back is not None
    assert passing - 1e-9 <= read_back <= passing + 0.001 + 1e-9


@pytest.mark.parametrize(
    ("passing", "text"), [(0, "0ms"), (0.02, "20ms"), (1.5, "1.5s"), (360, "6m0s"), (61.5, "1m1.5s")]
)
def test_durations_look_like_the_vendors(passing: float, text: str) -> None:
    """As Go writes them."""
    assert duration(passing) == text


def units(bill: Bill) -> Units:
    return Units(queries=bill.images_answered, tokens=bill.tokens, picodollars=bill.picodollars)


# --- the bill ---


@settings(max_examples=40, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    api=st.sampled_from(["chat", "responses"]),
    detail=st.sampled_from(["low", "high"]),
    prompt=st.none() | st.text("aé漢🙂 \n-", min_size=1, max_size=60).filter(str.strip),
    max_tokens=st.none() | st.integers(16, 200),
    side=st.integers(8, 80),
    cached=st.floats(0, 1),
    written=st.floats(0, 1),
    refusal=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
async def test_a_hold_covers_its_bill_and_the_settlement_is_the_bill(
    model: str,
    api: str,
    detail: str,
    prompt: str | None,
    max_tokens: int | None,
    side: int,
    cached: float,
    written: float,
    refusal: float,
    seed: int,
) -> None:
    """For any size, model, detail, prompt and cap, whatever is cached or refused; to the last token and picodollar."""
    faults = Faults(seed=seed, cached=cached, cache_written=written, refusal=refusal)
    emulator = OpenAIEmulator(colour_oracle(), faults)
    options = {"model": model, "api": api, "detail": detail, "prompt": prompt, "max_tokens": max_tokens}
    async with emulator.running() as url, connected(url, height=side, width=side, **options) as oracle:
        payload = oracle.encode(image(side, seed))
        (reply,) = await oracle.answer([payload])
        quote = oracle.quote(payload)

    assert isinstance(reply, Reply)
    assert reply.cost == units(emulator.bill)
    assert units(emulator.bill).within(quote.worst)


async def test_many_answers_are_billed_as_they_are_settled() -> None:
    """Through faults of every kind, what is known to be paid is at most the bill, and what is doubtful the rest."""
    faults = Faults(
        seed=3, rate_limited=0.05, server_error=0.05, dropped=0.05, truncated=0.05, junk=0.05, refusal=0.1, cached=0.3
    )
    emulator = OpenAIEmulator(colour_oracle(), faults)
    async with emulator.running() as url, connected(url, model="gpt-4.1-mini", classes=CLASSES) as oracle:
        payload = oracle.encode(image())
        hold = oracle.quote(payload).worst
        found = [await outcome(oracle) for _ in range(200)]

    settled, doubtful = Units(), Units()
    for each in found:
        if isinstance(each, Reply):
            settled = settled.plus(each.cost or hold)
        elif isinstance(each, OutcomeUnknown | MalformedAnswer):
            doubtful = doubtful.plus(hold)
    assert settled.within(units(emulator.bill))
    assert units(emulator.bill).within(settled.plus(doubtful))
    assert emulator.bill.requests == 200


@pytest.mark.parametrize(("tier_change", "factor"), [(0.0, 1), (1.0, 2)])
async def test_flex_is_half_price_unless_it_was_not_to_be_had(tier_change: float, factor: int) -> None:
    """Both sides follow the tier that served, and the answer says which."""
    emulator = OpenAIEmulator(colour_oracle(), Faults(tier_change=tier_change))
    async with emulator.running() as url:
        reply = await answered(url, model="gpt-5.2", tier="flex", classes=CLASSES)

    bill = emulator.bill
    full = bill.prompt_tokens * 1_750_000 + bill.completion_tokens * 14_000_000
    assert reply.cost == units(bill)
    assert bill.picodollars * 2 == full * factor
    assert str(reply.served).endswith("tier default") == bool(tier_change)


async def test_reasoning_is_paid_as_output() -> None:
    """The tokens of a thought are within the output, and are as many as its effort has."""
    bills = {}
    for effort in ("minimal", "low", "medium"):
        emulator = OpenAIEmulator(colour_oracle())
        async with emulator.running() as url:
            reply = await answered(url, model="o4-mini", reasoning_effort=effort, max_tokens=2000, classes=CLASSES)
        assert reply.cost == units(emulator.bill)
        bills[effort] = emulator.bill.completion_tokens

    assert bills == {"minimal": 1, "low": 65, "medium": 257}


async def test_the_bill_can_be_fetched() -> None:
    """By whoever runs the emulator in another process."""
    emulator = OpenAIEmulator(colour_oracle())
    async with emulator.running() as url, aiohttp.ClientSession() as session:
        await answered(url)
        async with session.get(f"{url}/bill") as response:
            content = await response.json()

    assert Bill(**content) == emulator.bill
    assert content["images_answered"] == 1
