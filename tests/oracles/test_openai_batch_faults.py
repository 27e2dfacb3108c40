"""Every fault of batches at the emulator against what the oracle reports, and against the emulator's own books."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import OracleError, OutcomeUnknown, QuotaExceeded, RateLimited
from bbquery.types import Reply
from oracles._openai.batch_result import Unasked
from oracles.emulators.openai import NO_FAULTS, Faults
from tests.support.openai_batch_helpers import answered, collected, ended, names, rehearsed, written

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.batch_oracle import BatchOracle

REFUSED: dict[str, type[OracleError]] = {"batch_rate_limited": RateLimited, "batch_quota": QuotaExceeded}
LOST = ("batch_dropped", "batch_timeout", "batch_server_error")
"""Faults after which a batch may have been made."""
LATER = ("batch_invalid", "batch_expired", "batch_truncated", "item_error")
SETTINGS = {"batch_part"}

shares = st.sampled_from([0.0, 0.1, 0.3])


pytestmark = pytest.mark.usefixtures("openai_key")


def test_every_fault_of_batches_is_tested_here() -> None:
    """A new one is not forgotten."""
    named = {field.name for field in fields(Faults) if field.name.startswith("batch_")}

    assert named == {*REFUSED, *LOST, *LATER} - {"item_error"} | SETTINGS


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_batch_that_is_refused_is_void(fault: str, tmp_path: Path) -> None:
    """It does not exist, and nothing is charged; told to slow down, one may try again."""
    share: dict[str, Any] = {fault: 1.0}
    async with rehearsed(**share) as (emulator, oracle):
        with pytest.raises(REFUSED[fault]) as caught:
            await oracle.submit(written(oracle, tmp_path, names(3)), "ours")
        found = await oracle.submitted("ours")

    assert caught.value.outcome == "voided"
    assert found is None
    assert emulator.bill.batches == 0


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_whose_fate_is_lost_is_found_if_it_was_made(fault: str, seed: int, tmp_path: Path) -> None:
    """The outcome is in doubt; our name settles it, so that nothing is submitted or charged twice."""
    share: dict[str, Any] = {fault: 1.0}
    async with rehearsed(seed=seed, **share) as (emulator, oracle):
        file = written(oracle, tmp_path, names(3))
        with pytest.raises(OutcomeUnknown):
            await oracle.submit(file, "ours")
        emulator.batches.faults = NO_FAULTS
        vendor = await oracle.submitted("ours") or await oracle.submit(file, "ours")
        await ended(oracle, vendor)
        found = await collected(oracle, vendor)

    assert all(isinstance(result, Reply) for result in found.values())
    assert emulator.batches.submitted == emulator.batches.charged == dict.fromkeys(names(3), 1)
    assert emulator.bill.repeated_lines == emulator.bill.repeated_answers == 0


async def test_submitting_again_without_looking_is_found_out(tmp_path: Path) -> None:
    """The trap: both batches are worked on and charged, though only one was heard of; the emulator counts it."""
    async with rehearsed(batch_dropped=1.0) as (emulator, oracle):
        file = written(oracle, tmp_path, names(3))
        with pytest.raises(OutcomeUnknown):
            await oracle.submit(file, "ours")
        emulator.batches.faults = NO_FAULTS
        await ended(oracle, await oracle.submit(file, "ours"))

    assert emulator.batches.submitted == emulator.batches.charged == dict.fromkeys(names(3), 2)
    assert (emulator.bill.repeated_lines, emulator.bill.repeated_answers) == (3, 3)


async def test_a_batch_that_is_invalid_charges_nothing(tmp_path: Path) -> None:
    """It failed as a whole, and says why; none of its lines was neither answered nor refused."""
    async with rehearsed(batch_invalid=1.0) as (emulator, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(3)), "ours")
        state = await ended(oracle, vendor)
        found = await collected(oracle, vendor)

    assert (state.status, state.reason) == (
        "failed",
        "Enqueued token limit reached for this model. (token_limit_exceeded)",
    )
    assert not found
    assert not emulator.batches.charged
    assert emulator.bill.picodollars == 0


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
async def test_a_batch_that_expires_charges_what_was_done(part: float, tmp_path: Path) -> None:
    """Those are answers; the rest is void."""
    async with rehearsed(batch_lines=3, batch_expired=1.0, batch_part=part) as (emulator, oracle):
        vendor = await oracle.submit(written(oracle, tmp_path, names(10)), "ours")
        state = await ended(oracle, vendor)
        found = await collected(oracle, vendor)

    done = {name for name, result in found.items() if isinstance(result, Reply)}
    assert state.status == "expired"
    assert (state.total, state.answered, state.failed) == (10, int(10 * part), 10 - int(10 * part))
    assert set(found) == set(names(10))
    assert done == set(emulator.batches.charged)
    assert len(done) == int(10 * part)
    assert all(isinstance(result, Unasked) for name, result in found.items() if name not in done)


async def test_lines_that_fail_alone_are_in_doubt(tmp_path: Path) -> None:
    """The vendor failed; about half of them were charged, and nobody is told which."""
    async with rehearsed(item_error=0.5) as (emulator, oracle):
        found = await answered(oracle, tmp_path, 40)

    failed = {name for name, result in found.items() if not isinstance(result, Reply)}
    charged = set(emulator.batches.charged)
    assert set(found) == set(names(40))
    assert all(type(found[name]) is OutcomeUnknown for name in failed)
    assert charged > set(found) - failed
    assert charged & failed
    assert failed - charged


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(1, 12),
    seed=st.integers(0, 1000),
    batch_dropped=shares,
    batch_server_error=shares,
    batch_rate_limited=shares,
    batch_invalid=shares,
    batch_expired=shares,
    batch_truncated=shares,
    item_error=shares,
    lines=st.integers(1, 12),
    cancel_after=st.none() | st.integers(0, 3),
)
async def test_the_emulators_bill_is_always_covered(
    count: int,
    seed: int,
    lines: int,
    cancel_after: int | None,
    tmp_path_factory: pytest.TempPathFactory,
    **faults: Any,
) -> None:
    """Through every mixture, each charged line is an answer or in doubt, and none is charged twice."""
    folder = tmp_path_factory.mktemp("batch")
    async with rehearsed(batch_lines=lines, seed=seed, **faults) as (emulator, oracle):
        vendor = await made(oracle, folder, count)
        for _ in range(cancel_after or 0):
            await oracle.batch_state(vendor)
        if cancel_after is not None:
            await oracle.cancel_batch(vendor)
        await ended(oracle, vendor)
        found = await fetched(oracle, vendor)

    answers = {name: result for name, result in found.items() if isinstance(result, Reply)}
    doubtful = {name for name, result in found.items() if type(result) is OutcomeUnknown}
    paid = sum(reply.cost.picodollars for reply in answers.values() if reply.cost is not None)
    assert set(answers) <= set(emulator.batches.charged) <= set(answers) | doubtful
    assert set(emulator.batches.charged.values()) <= {1}
    assert paid <= emulator.bill.picodollars
    assert doubtful or paid == emulator.bill.picodollars


async def made(oracle: BatchOracle, folder: Path, count: int) -> str:
    """Submit until the vendor has the batch, looking for it whenever that is in doubt."""
    file = written(oracle, folder, names(count))
    while True:
        try:
            return await oracle.submit(file, "ours")
        except OracleError as error:
            vendor = None if error.outcome == "voided" else await oracle.submitted("ours")
            if vendor is not None:
                return vendor


async def fetched(oracle: BatchOracle, vendor: str) -> dict[str, Reply | OracleError]:
    """Fetch the results until they come whole."""
    while True:
        try:
            return await collected(oracle, vendor)
        except OutcomeUnknown:
            continue
