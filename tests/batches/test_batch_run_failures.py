"""Batch runs in this process: what becomes of every line and every batch that fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.batch_oracle import BatchLimits
from bbquery.batches import prefetch, results, transport
from bbquery.batches.folder import Folder
from bbquery.errors import (
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    StorageFailed,
    UnknownPrice,
    Unreachable,
    UsageError,
)
from bbquery.types import Reply, Vector
from bbquery.units import Units
from tests.support.batches_vendor import BILL, HALF, HALF_BILL, Vendor, bad_request, expired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from tests.support.clocks import FakeClock
from tests.support.batch_runs import METHOD, PHOTO, QUERIES, Heard, explain, map_of, ordinary

pytestmark = pytest.mark.usefixtures("time")


# --- lines without an answer ---


def test_expired_lines_are_void_and_asked_again(tmp_path: Path, ledger: Ledger) -> None:
    """What was worked on is paid, what was not is not: it goes into a further batch, and the map is whole."""
    vendor = Vendor(tmp_path / "vendor")
    vendor.fate = lambda i: expired() if i >= 25 else None

    explanation = explain(vendor, ledger)

    assert [len(vendor.lines(name)) for name in vendor.submissions()] == [40, 15]
    assert not explanation.partial
    assert explanation.budget.posted.picodollars == vendor.bill == BILL + QUERIES * HALF_BILL
    assert explanation.budget.held.queries == 0


def test_lines_that_are_refused_again_and_again_are_given_up(tmp_path: Path, ledger: Ledger) -> None:
    """After a few rounds the run ends partial, says why, and has asked nothing at full price."""
    vendor = Vendor(tmp_path / "vendor")
    vendor.fate = lambda i: bad_request() if i % 2 else None

    explanation = explain(vendor, ledger)

    assert explanation.partial
    assert isinstance(explanation.error, OracleError)
    assert "no such thing" in str(explanation.error)
    assert len(vendor.submissions()) == prefetch.MOST_ROUNDS
    assert vendor.asked_now == 1
    assert explanation.budget.posted.picodollars == vendor.bill


def test_a_round_without_an_answer_is_the_last(tmp_path: Path, ledger: Ledger) -> None:
    """A vendor that refuses everything is not asked for days."""
    vendor = Vendor(tmp_path / "vendor", fate=lambda _: bad_request())

    explanation = explain(vendor, ledger)

    assert len(vendor.submissions()) == 1
    assert explanation.partial
    assert explanation.budget.held.queries == 0


def test_what_the_results_do_not_speak_of_stays_held(tmp_path: Path, ledger: Ledger) -> None:
    """Nobody knows whether it was charged, so it is unknown; it is asked again, as a new attempt."""
    vendor = Vendor(tmp_path / "vendor", silent=frozenset({30, 31}))

    explanation = explain(vendor, ledger)

    assert len(explanation.unknown) == 2
    assert "say nothing of this line" in explanation.unknown[0].reason
    assert explanation.budget.held.queries == 2
    assert not explanation.partial


def test_lines_that_no_result_speaks_of_are_given_up_with_that_reason(tmp_path: Path, ledger: Ledger) -> None:
    """Where nothing says why lines were not answered, just that is said."""
    vendor = Vendor(tmp_path / "vendor", silent=frozenset(range(QUERIES)))

    explanation = explain(vendor, ledger)

    assert "say nothing of this line" in str(explanation.error)
    assert "None" not in str(explanation.error)


class Unrecordable(Vendor):
    """A vendor whose first batch holds an answer that no store can keep."""

    async def batch_results(self, vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        odd = vendor == "vendor-0"
        async for name, reply in super().batch_results(vendor):
            numbers = np.array([object(), object()]) if odd else None
            yield name, reply if numbers is None else Reply(Vector(numbers), Units(1, 0, HALF_BILL), "v1")
            odd = False


def test_an_answer_of_a_batch_that_cannot_be_recorded_is_malformed_alone(tmp_path: Path, ledger: Ledger) -> None:
    """It is posted at its hold and asked again, and what came beside it is kept."""
    vendor = Unrecordable(tmp_path / "vendor")

    explanation = explain(vendor, ledger)

    assert map_of(explanation) == ordinary(tmp_path)
    assert len(vendor.submissions()) == 2
    assert explanation.budget.posted.picodollars == vendor.bill + HALF - HALF_BILL
    assert explanation.budget.held == Units()


class Contradicting(Vendor):
    """A vendor whose results name lines twice: failed before they were answered, and after, or answered otherwise."""

    async def batch_results(self, vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        number = 0
        async for name, reply in super().batch_results(vendor):
            number += 1
            if number % 5 == 1:
                yield name, expired()
            yield name, reply
            if number % 5 == 2:
                yield name, bad_request()
            elif number % 5 == 3:
                yield name, Reply(Vector(np.array([0.25, 0.75])), Units(1, 0, HALF_BILL), "v1")
            elif number % 5 == 4:
                yield name, reply


@pytest.mark.parametrize("together", [3, 256])
def test_results_that_contradict_themselves_keep_what_was_paid_for(
    tmp_path: Path, ledger: Ledger, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is answered and failed was answered, in whichever order it is said, and a person is told."""
    monkeypatch.setattr(results, "LINES_AT_ONCE", together)
    vendor, heard = Contradicting(tmp_path / "vendor"), Heard()

    explanation = explain(vendor, ledger, watch=heard)

    assert map_of(explanation) == ordinary(tmp_path)
    assert (explanation.error, explanation.unknown) == (None, ())
    assert explanation.budget.posted.picodollars == vendor.bill
    assert len(vendor.submissions()) == 1
    assert any("24 lines came more than once and differ: what was paid for was kept" in text for text in heard.news)


def test_lines_that_may_have_been_charged_stay_held(tmp_path: Path, ledger: Ledger) -> None:
    """A line whose server failed is unknown, each time that it is tried."""
    lost = OutcomeUnknown("the server failed", oracle="vendor")
    vendor = Vendor(tmp_path / "vendor", fate=lambda i: lost if i == 0 else None)

    explanation = explain(vendor, ledger)

    assert explanation.partial
    assert "the server failed" in str(explanation.error)
    assert len(explanation.unknown) == len(vendor.submissions()) == 2  # the second had no other line
    assert explanation.budget.held.picodollars == 2 * HALF


def test_what_breaks_a_promise_is_paid_and_not_kept(vendor: Vendor, ledger: Ledger) -> None:
    """An answer that no oracle of its kind may give is charged as it says, and is no answer."""
    with pytest.MonkeyPatch.context() as patch:
        sides = "tests.support.batches_vendor.sides"
        patch.setattr(sides, lambda image: [float("nan"), 0.5] if image[0, 0, 0] % 2 else [1, 0])
        explanation = explain(vendor, ledger, target="left")

    assert explanation.partial
    assert "the number of class 0 is nan" in str(explanation.error)
    assert explanation.budget.posted.picodollars == vendor.bill


def test_lines_that_nobody_submitted_are_passed_over(vendor: Vendor, ledger: Ledger) -> None:
    """A vendor that speaks of other lines, or of one twice, changes nothing."""
    results = vendor.batch_results

    async def more(vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        async for name, result in results(vendor):
            yield name, result
            yield name, result
        yield "9" * 30, bad_request()
        yield "another's", bad_request()
        yield "7777777", bad_request()

    vendor.batch_results = more  # type: ignore[method-assign] # this vendor speaks too much
    explanation = explain(vendor, ledger)

    assert not explanation.partial
    assert explanation.budget.posted.picodollars == vendor.bill


# --- batches that fail ---


def test_a_batch_that_fails_as_a_whole_is_void_and_its_reason_told(tmp_path: Path, ledger: Ledger) -> None:
    """Validation failed: all attempts are void, the vendor's reason ends the run, and no second try is made."""
    vendor = Vendor(tmp_path / "vendor", reason="line 1: bad model")

    explanation = explain(vendor, ledger)

    assert isinstance(explanation.error, Rejected)
    assert "line 1: bad model" in str(explanation.error)
    assert explanation.budget.held.queries == 0
    assert explanation.budget.posted.queries == 1
    assert len(vendor.submissions()) == 1
    assert Folder(ledger.path).batches() == []


@pytest.mark.parametrize("error", [Rejected("bad key"), QuotaExceeded("no credit")])
def test_a_refused_submission_is_void(vendor: Vendor, ledger: Ledger, error: OracleError) -> None:
    """Nothing was submitted: nothing is held, and the vendor's word ends the run."""
    vendor.submit_fault = lambda _: error

    explanation = explain(vendor, ledger)

    assert explanation.error is error
    assert explanation.budget.held.queries == 0
    assert vendor.submissions() == {}


def test_what_was_submitted_before_a_refusal_is_collected(tmp_path: Path, ledger: Ledger) -> None:
    """The second file is refused: the first one's answers are in the partial map."""
    vendor = Vendor(tmp_path / "vendor", BatchLimits(lines=15, bytes=10**6))
    vendor.submit_fault = lambda _: QuotaExceeded("no credit") if vendor.submissions() else None

    explanation = explain(vendor, ledger)

    assert isinstance(explanation.error, QuotaExceeded)
    assert explanation.maps[0].sent.answered == 15
    assert vendor.encoded < QUERIES  # what nobody would submit is not prepared
    assert explanation.budget.held.queries == 0


@pytest.mark.parametrize("error", [Unreachable("no route"), RateLimited("slow down")])
def test_a_submission_that_surely_failed_is_tried_again(vendor: Vendor, ledger: Ledger, error: OracleError) -> None:
    """What was provably not submitted is submitted once the vendor can be reached, without asking its list."""
    faults = iter([error, None])
    vendor.submit_fault = lambda _: next(faults)

    explanation = explain(vendor, ledger)

    assert (len(vendor.submissions()), vendor.listed) == (1, 0)
    assert not explanation.partial


def test_a_vendor_that_is_never_reached_leaves_nothing_held(vendor: Vendor, ledger: Ledger) -> None:
    """After a few tries the batch is dropped: nothing of it had left."""
    vendor.submit_fault = lambda _: Unreachable("no route")

    explanation = explain(vendor, ledger)

    assert isinstance(explanation.error, Unreachable)
    assert explanation.budget.held.queries == 0


@pytest.mark.parametrize("lag", range(len(transport.SECONDS_BEFORE_A_LOOK)))
def test_a_submission_whose_answer_is_lost_is_found(vendor: Vendor, ledger: Ledger, lag: int, time: FakeClock) -> None:
    """It was accepted, but nobody heard: the vendor's list tells, even if it lags, and nothing is submitted twice."""
    vendor.lag = lag
    vendor.fault_after = lambda _: OutcomeUnknown("time-out")

    explanation = explain(vendor, ledger)

    assert len(vendor.submissions()) == 1
    assert not explanation.partial
    assert time.time >= sum(transport.SECONDS_BEFORE_A_LOOK[: lag + 1])


def test_a_submission_that_never_arrived_is_submitted_after_looking_long_enough(
    vendor: Vendor, ledger: Ledger, time: FakeClock
) -> None:
    """A time-out may mean that it was lost on the way there: only after several looks is it sent again."""
    faults = iter([OutcomeUnknown("time-out"), None])
    vendor.submit_fault = lambda _: next(faults)

    explanation = explain(vendor, ledger)

    assert len(vendor.submissions()) == 1
    assert vendor.listed == 5
    assert time.time >= 75  # seconds that docs/batch.md names
    assert not explanation.partial


def test_while_nobody_knows_a_batch_stays_held_and_is_looked_for_again(vendor: Vendor, ledger: Ledger) -> None:
    """A vendor that answers nothing leaves the batch held; the same again finds that it was accepted."""
    vendor.fault_after, vendor.lag = (lambda _: OutcomeUnknown("time-out")), 10**6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "submitted", _unreachable)
        first = explain(vendor, ledger)
    vendor.lag = 0

    second = explain(vendor, ledger)

    assert "may have been submitted" in str(first.error)
    assert first.budget.held.queries == QUERIES
    assert len(vendor.submissions()) == 1
    assert not second.partial


async def _unreachable(self: Vendor, batch: str) -> str | None:
    raise Unreachable("no route")


def test_a_key_that_is_gone_leaves_what_may_be_at_the_vendor(vendor: Vendor, ledger: Ledger) -> None:
    """Without a key nobody can look for a batch: it stays held, where one that never left is dropped."""
    vendor.fault_after = lambda _: OutcomeUnknown("time-out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "submitted", _without_key)
        first = explain(vendor, ledger)

    second = explain(vendor, ledger)

    assert isinstance(first.error, UsageError)
    assert first.budget.held.queries == QUERIES
    assert len(vendor.submissions()) == 1
    assert not second.partial


async def _without_key(self: Vendor, *_: object) -> str | None:
    raise UsageError("the key is not set")


def test_a_key_that_was_never_there_leaves_nothing(vendor: Vendor, ledger: Ledger) -> None:
    """Nothing left, so nothing is held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "submit", _without_key)
        explanation = explain(vendor, ledger)

    assert isinstance(explanation.error, UsageError)
    assert explanation.budget.held.queries == 0


def test_a_key_that_goes_while_a_batch_is_away_leaves_it_there(vendor: Vendor, ledger: Ledger) -> None:
    """It is collected once there is a key again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "batch_state", _without_key)
        first = explain(vendor, ledger)

    second = explain(vendor, ledger)

    assert first.budget.held.queries == QUERIES
    assert not second.partial


def test_lines_that_were_deleted_before_they_left_are_written_again(vendor: Vendor, ledger: Ledger) -> None:
    """Where the file is gone nothing left: its batch is void, and the next run writes another."""
    first = explain(vendor, ledger, watch=Heard(when="submitting", act=lambda _: _delete_lines(ledger)))

    second = explain(vendor, ledger)

    assert isinstance(first.error, StorageFailed)
    assert first.budget.held.queries == 0
    assert len(vendor.submissions()) == 1
    assert not second.partial


def test_lines_that_were_deleted_and_may_have_left_stay_held(vendor: Vendor, ledger: Ledger) -> None:
    """Not to be found at the vendor, and not to be submitted again: they are unknown, for a person to settle."""

    def lost(_: str) -> OracleError:
        _delete_lines(ledger)
        return OutcomeUnknown("time-out")

    vendor.submit_fault = lost
    first = explain(vendor, ledger)
    vendor.submit_fault = lambda _: None
    second = explain(vendor, ledger, max_queries=2 * QUERIES + 1)

    assert isinstance(first.error, StorageFailed)
    assert len(first.unknown) == first.budget.held.queries == QUERIES
    assert not second.partial


def _delete_lines(ledger: Ledger) -> None:
    folder = Folder(ledger.path)
    for batch in folder.batches():
        folder.remove(batch)


def test_an_unknown_price_is_refused_before_anything_is_asked(vendor: Vendor, ledger: Ledger) -> None:
    """Not even the unperturbed image is paid for."""

    def unknown(payload: bytes) -> Any:
        raise UnknownPrice("vendor", "model", "state it")

    vendor.batch_quote = unknown  # type: ignore[method-assign] # a vendor without a price
    with pytest.raises(UnknownPrice):
        explain(vendor, ledger)

    assert vendor.bill == 0


@pytest.mark.parametrize("arrives", [True, False])
def test_submissions_that_are_lost_again_and_again_end_in_a_look(vendor: Vendor, ledger: Ledger, arrives: bool) -> None:
    """Each try is followed by looks at the list; if the last one arrived it is found, else the next run goes on."""
    lost = [OutcomeUnknown("time-out")] * 2
    faults = iter([*lost, None if arrives else lost[0]])
    vendor.submit_fault, vendor.fault_after = (lambda _: next(faults, None)), (lambda _: lost[0])

    first = explain(vendor, ledger)
    submitted = len(vendor.submissions())
    second = explain(vendor, ledger)

    assert first.partial is not arrives
    assert first.budget.held.queries == (0 if arrives else QUERIES)
    assert submitted == int(arrives)
    assert len(vendor.submissions()) == 1
    assert not second.partial


async def test_a_run_that_is_cancelled_leaves_its_batch(vendor: Vendor, ledger: Ledger) -> None:
    """A program that cancels the run while the vendor is asked gets its cancellation; the same again collects."""
    asking = asyncio.Event()

    async def forever(self: Vendor, name: str) -> Any:
        asking.set()
        await asyncio.Event().wait()

    options: dict[str, Any] = {"method": METHOD, "target": "left", "max_queries": 100, "batch": True, "ledger": ledger}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "batch_state", forever)
        run = asyncio.create_task(bbquery.explain_async(PHOTO, vendor, **options))
        await asking.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    explanation = await bbquery.explain_async(PHOTO, vendor, **options)

    assert len(vendor.submissions()) == 1
    assert not explanation.partial
