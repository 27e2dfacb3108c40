"""Batch runs in this process: what they bring, what they cost, and what becomes of every fault."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.batch_oracle import BatchLimits, BatchOracle
from bbquery.batches import prefetch, results, transport
from bbquery.batches.folder import Folder
from bbquery.client.halt import Interrupted
from bbquery.errors import (
    BudgetExhausted,
    CostAboveHold,
    NotBilled,
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
from bbquery.ledger.sqlite import Ledger
from bbquery.saliency.rise import Rise
from bbquery.types import Reply, Vector
from bbquery.units import Units
from tests.support.batches_vendor import BILL, FULL, HALF, HALF_BILL, Vendor, bad_request, expired
from tests.support.bookkeeping import guard_caps
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.errors import BbqueryError
    from bbquery.jobs.explain.result import Explanation

PHOTO = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
QUERIES = 40
METHOD = Rise(queries=QUERIES, batch=16, cells=3)


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path / "vendor")


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let no test wait for a vendor."""
    clock = FakeClock()
    monkeypatch.setattr(prefetch, "SystemClock", lambda: clock)
    return clock


@dataclass
class Heard(bbquery.Watch):
    """What a run told; acts when it says a certain thing."""

    news: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    when: str = "nothing says this"
    act: Callable[[Heard], object] = lambda _: None
    client: Client | None = None
    prefetch: Prefetch | None = None

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.client = client

    def batching(self, prefetch: Prefetch) -> None:
        self.prefetch = prefetch

    def batch_news(self, text: str) -> None:
        self.news.append(text)
        self._act(text)

    def batch_status(self, text: str) -> None:
        self.states.append(text)
        self._act(text)

    def _act(self, text: str) -> None:
        if self.when in text:
            self.act(self)

    def interrupt(self) -> None:
        assert self.client is not None
        self.client.halt.set(Interrupted("interrupted by a test"))


def explain(vendor: Vendor, ledger: Ledger, **options: Any) -> Explanation:
    chosen: dict[str, Any] = {"method": METHOD, "target": "left", "max_queries": 100, "batch": True, "ledger": ledger}
    return bbquery.explain(PHOTO, vendor, **(chosen | options))


def interrupted(vendor: Vendor, ledger: Ledger, when: str) -> tuple[BbqueryError, Heard]:
    """Run until something is said, and interrupt it there."""
    heard = Heard(when=when, act=Heard.interrupt)
    with pytest.raises(Interrupted) as caught:
        explain(vendor, ledger, watch=heard)
    return caught.value, heard


def map_of(explanation: Explanation) -> bytes:
    return explanation.maps[0].values.tobytes()


def ordinary(tmp_path: Path) -> bytes:
    """Return the map of the ordinary run."""
    with Ledger(tmp_path / "ordinary.sqlite3") as ledger:
        return map_of(explain(Vendor(tmp_path / "other"), ledger, batch=False))


def test_the_vendor_of_these_tests_keeps_the_protocol(vendor: Vendor) -> None:
    """What the tests ask is what the seam describes."""
    assert isinstance(vendor, BatchOracle)


def test_a_run_by_the_file_gives_the_ordinary_map_at_the_price_of_a_batch(
    vendor: Vendor, ledger: Ledger, tmp_path: Path
) -> None:
    """The unperturbed image is asked at once, all else as a batch: same bytes, and the ledger is the bill."""
    guard_caps(ledger.path)

    explanation = explain(vendor, ledger)

    assert map_of(explanation) == ordinary(tmp_path)
    assert (explanation.partial, explanation.error) == (False, None)
    assert (vendor.asked_now, len(vendor.questions()), len(vendor.submissions())) == (1, QUERIES, 1)
    assert explanation.budget.posted.picodollars == vendor.bill == BILL + QUERIES * HALF_BILL
    assert explanation.budget.held.queries == 0
    assert (explanation.queries.sent, explanation.queries.from_store) == (QUERIES + 1, 0)


def test_the_same_again_asks_nothing(vendor: Vendor, ledger: Ledger) -> None:
    """With and without --batch, a second run is served from the store, and makes no batch."""
    first = explain(vendor, ledger)
    encoded = vendor.encoded

    by_file, at_once = explain(vendor, ledger), explain(vendor, ledger, batch=False)

    assert map_of(first) == map_of(by_file) == map_of(at_once)
    assert (by_file.queries.sent, by_file.queries.from_store) == (0, QUERIES + 1)
    assert (len(vendor.submissions()), vendor.asked_now) == (1, 1)
    assert vendor.encoded == encoded + 1  # one image, for its price


def test_what_was_answered_at_once_is_not_asked_by_the_file(vendor: Vendor, ledger: Ledger) -> None:
    """A run that ended early goes on as a batch, with what is missing alone."""
    explain(vendor, ledger, batch=False, max_queries=100, max_usd="0.031")
    asked = vendor.asked_now

    explanation = explain(vendor, ledger)

    assert 1 < asked < QUERIES
    assert len(vendor.questions()) == QUERIES + 1 - asked
    assert not explanation.partial
    assert explanation.budget.posted.picodollars == vendor.bill


def test_files_are_split_by_the_vendors_limits(tmp_path: Path, ledger: Ledger) -> None:
    """No file holds more lines than the vendor takes, and each question is in exactly one."""
    vendor = Vendor(tmp_path / "vendor", BatchLimits(lines=15, bytes=10**6))

    explanation = explain(vendor, ledger)

    assert [len(vendor.lines(name)) for name in vendor.submissions()] == [15, 15, 10]
    assert len(set(vendor.questions())) == QUERIES
    assert not explanation.partial


def test_a_question_too_large_for_any_file_is_said(tmp_path: Path, ledger: Ledger) -> None:
    """The limit is named, nothing is submitted and nothing held."""
    vendor = Vendor(tmp_path / "vendor", BatchLimits(lines=15, bytes=100))

    with pytest.raises(UsageError, match="may hold 100 bytes"):
        explain(vendor, ledger)

    assert vendor.submissions() == {}
    assert ledger.budget(1).held.queries == 0


def test_a_files_lines_are_for_its_owner_and_go_when_collected(vendor: Vendor, ledger: Ledger) -> None:
    """Images that are asked about are readable by nobody else, and nothing is left of them but the lock."""
    explain(vendor, ledger)

    folder = Folder(ledger.path)
    assert vendor.modes == [0o600]
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert [path.suffix for path in folder.path.iterdir()] == [".lock"]


def test_two_targets_are_asked_once(vendor: Vendor, ledger: Ledger) -> None:
    """A plan that does not adapt asks the same for every target."""
    explanation = explain(vendor, ledger, target=["left", "right"])

    assert len(explanation.maps) == 2
    assert len(vendor.questions()) == QUERIES


# --- what cannot be asked as a batch ---


class Adaptive(Rise):
    adaptive = True


class Silent:
    """A method that does not say whether it adapts."""

    queries = 10
    plan = METHOD.plan


class Lying(Rise):
    """A method that says it does not adapt, and asks another question when it is answered."""

    def plan(self, x: Any, domain: Any, seed: int) -> Any:
        scores = yield from _first(x)
        return (yield from Rise(queries=5, cells=3).plan(x, domain, int(np.nansum(scores.value) > 0)))


def _first(x: Any) -> Any:
    return (yield bbquery.Ask(255 - x[None]))


@pytest.mark.parametrize("method", [Adaptive(queries=10), Silent()])
def test_what_adapts_is_refused_before_anything_is_sent(vendor: Vendor, ledger: Ledger, method: Any) -> None:
    """A method that asks by answers, or does not say, cannot be asked all at once."""
    with pytest.raises(UsageError, match="decides by answers what it asks next"):
        explain(vendor, ledger, method=method)

    assert vendor.asked_now == 0


def test_what_adapts_after_all_is_never_asked_at_full_price(vendor: Vendor, ledger: Ledger) -> None:
    """A method that says of itself what is not true ends partial, and only its batch is paid."""
    explanation = explain(vendor, ledger, method=Lying(queries=6, cells=3))

    assert explanation.partial
    assert "asks by answers after all" in str(explanation.error)
    assert vendor.asked_now == 1


def test_an_oracle_that_takes_no_files_is_refused(ledger: Ledger) -> None:
    """The message names the oracle and the way out."""
    from tests.support.oracles import FakeOracle

    oracle = FakeOracle()
    with pytest.raises(UsageError, match="fake takes no batches: leave out --batch"):
        bbquery.explain(PHOTO, oracle, batch=True, ledger=ledger, method=METHOD)

    assert oracle.requests == 0


# --- drift ---


def test_the_unperturbed_image_is_asked_again_in_the_file(tmp_path: Path, ledger: Ledger) -> None:
    """A remote model's checks stand at both ends of the file, at the price of a batch, and tell of no drift."""
    vendor = Vendor(tmp_path / "vendor", remote=True)

    explanation = explain(vendor, ledger)

    clean = PHOTO.tobytes().hex()
    places = [i for i, line in enumerate(vendor.lines("vendor-0")) if line["pixels"] == clean]
    assert places == [0, 1, QUERIES + 2]
    assert len(explanation.drift.checks) == 4
    assert not explanation.drift.drifted
    assert not explanation.partial
    assert explanation.queries.sent == QUERIES + 4


# --- budgets ---


def test_what_fits_into_the_budget_is_submitted_in_order(vendor: Vendor, ledger: Ledger) -> None:
    """A cap in queries ends the run partial, with the first questions of the plan answered."""
    guard_caps(ledger.path)
    explain(vendor, ledger, method=Rise(queries=10, batch=16, cells=3), max_queries=100)
    first = vendor.questions()
    with Ledger(ledger.path.with_name("other.sqlite3")) as other:
        explanation = explain(vendor, other, max_usd=str((FULL + 10.5 * HALF) / 10**12))

    assert explanation.partial
    assert isinstance(explanation.error, BudgetExhausted)
    assert vendor.questions()[10:20] == first
    assert explanation.budget.held.picodollars == 0


def test_what_an_answer_leaves_of_its_hold_pays_for_further_ones(vendor: Vendor, ledger: Ledger) -> None:
    """A budget that covers the bill but not all holds at once is spent in several rounds."""
    guard_caps(ledger.path)
    usd = (BILL + (QUERIES + 3) * HALF_BILL) / 10**12

    explanation = explain(vendor, ledger, max_usd=str(usd))

    assert len(vendor.submissions()) > 1
    assert not explanation.partial
    assert explanation.budget.posted.picodollars == vendor.bill


def test_a_bill_above_its_hold_is_recorded_and_stops_the_run(tmp_path: Path, ledger: Ledger) -> None:
    """The truth goes into the books, and nothing further is submitted."""
    vendor = Vendor(tmp_path / "vendor", half_bill=HALF + 1)

    explanation = explain(vendor, ledger)

    assert explanation.budget.posted.picodollars == vendor.bill
    assert not explanation.partial  # all was answered; a run with more to ask would have stopped
    assert isinstance(explanation.error, CostAboveHold)


def test_a_bill_above_its_hold_allows_no_further_batch(tmp_path: Path, ledger: Ledger) -> None:
    """Where something is missing, it stays missing: no cap is safe any more."""
    vendor = Vendor(tmp_path / "vendor", half_bill=HALF + 1, fate=lambda i: expired() if i == 3 else None)

    explanation = explain(vendor, ledger)

    assert isinstance(explanation.error, CostAboveHold)
    assert len(vendor.submissions()) == 1


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


# --- waiting ---


def test_looks_grow_rarer(tmp_path: Path, ledger: Ledger, time: FakeClock) -> None:
    """From every 5 seconds to once a minute, as long as it takes."""
    vendor = Vendor(tmp_path / "vendor", looks=12)

    explain(vendor, ledger)

    assert time.slept[:4] == [5, 7.5, 11.25, 16.875]
    assert time.slept[-1] == 60
    assert len(time.slept) == 11


def test_failed_looks_are_repeated_and_a_wait_is_obeyed(vendor: Vendor, ledger: Ledger, time: FakeClock) -> None:
    """A vendor that cannot be asked for a while, or says when to come back, loses nothing."""
    faults = iter([Unreachable("no route"), OutcomeUnknown("500"), RateLimited("slow", retry_after=300.0)])
    vendor.state_fault = lambda _: next(faults, None)

    explanation = explain(vendor, ledger)

    assert max(time.slept) == 300
    assert not explanation.partial


def test_a_vendor_that_can_no_longer_be_asked_keeps_the_batch(vendor: Vendor, ledger: Ledger) -> None:
    """The run ends partial, names the batch and holds on to it; later the same again collects it."""
    vendor.state_fault = lambda _: Rejected("the key was revoked")
    first = explain(vendor, ledger)
    vendor.state_fault = lambda _: None

    second = explain(vendor, ledger)

    assert "is at the vendor as vendor-0; the same command again asks for it" in str(first.error)
    assert first.budget.held.queries == QUERIES
    assert len(vendor.submissions()) == 1
    assert not second.partial


def test_a_vendor_that_is_out_for_long_is_given_up_for_now(vendor: Vendor, ledger: Ledger) -> None:
    """Half an hour of failed looks ends the run; nothing is settled by it."""
    vendor.state_fault = lambda _: Unreachable("no route")

    explanation = explain(vendor, ledger)

    assert vendor.looked == transport.MOST_FAILED_LOOKS
    assert explanation.budget.held.queries == QUERIES


def test_results_that_break_off_are_fetched_again(vendor: Vendor, ledger: Ledger) -> None:
    """What was settled before the break is passed over, and the rest is settled once."""
    faults = iter([OutcomeUnknown("reset"), None])
    vendor.results_fault = lambda _: next(faults)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "LINES_AT_ONCE", 4)
        explanation = explain(vendor, ledger)

    assert not explanation.partial
    assert explanation.budget.posted.picodollars == vendor.bill


# --- Ctrl-C ---


@pytest.mark.parametrize("when", ["writing a batch", "submitting", "submitted", "is in_progress", "collected"])
def test_interrupted_anywhere_the_same_again_completes(tmp_path: Path, ledger: Ledger, when: str) -> None:
    """Stopped by a person at any step, nothing is submitted twice, and the next run has the map and the bill."""
    vendor = Vendor(tmp_path / "vendor", looks=3)
    if when == "collected":
        explain(vendor, ledger)
    else:
        interrupted(vendor, ledger, when)
    vendor.looked = 0

    explanation = explain(vendor, ledger)

    assert map_of(explanation) == ordinary(tmp_path)
    assert len(vendor.questions()) == QUERIES
    assert explanation.budget.posted.picodollars == vendor.bill
    assert explanation.budget.held.queries == 0


def test_an_interruption_says_what_stays_at_the_vendor(tmp_path: Path, ledger: Ledger) -> None:
    """The batch's name, its questions, what they hold, and that the same command collects it."""
    vendor = Vendor(tmp_path / "vendor", looks=100)

    error, _ = interrupted(vendor, ledger, "is in_progress")

    (name,) = vendor.submissions().values()
    assert f"batch {name} ({QUERIES} questions): the same command again collects" in str(error)
    assert ledger.budget(1).held.picodollars == QUERIES * HALF


def test_an_interruption_while_writing_holds_nothing(vendor: Vendor, ledger: Ledger) -> None:
    """Nothing had left, so nothing stays held and no file stays."""
    error, _ = interrupted(vendor, ledger, "writing a batch")

    assert "at the vendor" not in str(error)
    assert ledger.budget(1).held.queries == 0
    assert Folder(ledger.path).batches() == []


def test_a_second_interruption_waits_for_no_submission(vendor: Vendor, ledger: Ledger, tmp_path: Path) -> None:
    """Abandoned in the middle of a submission, the batch is looked for by the next run, and found."""
    heard = Heard()

    def twice(point: str) -> None:
        if point == "after the vendor accepted" and heard.prefetch is not None:
            heard.interrupt()
            heard.prefetch.abandon()

    vendor.at = twice
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Vendor, "submit", _hanging(Vendor.submit))
        with pytest.raises(Interrupted, match="at the vendor: batch"):
            explain(vendor, ledger, watch=heard)
    vendor.at = lambda _: None

    explanation = explain(vendor, ledger)

    assert len(vendor.submissions()) == 1
    assert map_of(explanation) == ordinary(tmp_path)


def _hanging(submit: Any) -> Any:
    async def hanging(self: Vendor, lines: Path, batch: str) -> str:
        accepted = await submit(self, lines, batch)
        await asyncio.Event().wait()
        return str(accepted)

    return hanging


# --- others ---


def test_a_run_at_full_price_leaves_a_batchs_questions_alone(tmp_path: Path, ledger: Ledger) -> None:
    """While a batch is at the vendor, the ordinary run does not wait a day nor pays twice: it says who has them."""
    vendor = Vendor(tmp_path / "vendor", looks=100)
    interrupted(vendor, ledger, "is in_progress")

    explanation = explain(vendor, ledger, batch=False)

    assert explanation.partial
    assert isinstance(explanation.error, UsageError)
    assert "collect it first" in str(explanation.error)
    assert vendor.asked_now == 1


def test_a_batch_leaves_out_what_another_runs_batch_asks(tmp_path: Path, ledger: Ledger) -> None:
    """Two runs that share questions pay for each once; the second says whom it waits for."""
    vendor = Vendor(tmp_path / "vendor", looks=100)
    interrupted(vendor, ledger, "is in_progress")
    vendor.looked = 100

    longer = explain(vendor, ledger, method=Rise(queries=QUERIES + 8, batch=16, cells=3))

    assert "40 questions of this run are being asked by another run" in str(longer.error)
    assert len(set(vendor.questions())) == len(vendor.questions()) == QUERIES + 8


def test_opening_the_ledger_buries_no_batch(tmp_path: Path) -> None:
    """A batch is no process: what it holds stays in flight, however often the ledger is opened meanwhile."""
    vendor = Vendor(tmp_path / "vendor", looks=100)
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        interrupted(vendor, ledger, "is in_progress")

    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        assert ledger.bury_the_dead() == 0
        assert ledger.unknowns(1) == []
        assert ledger.budget(1).held.queries == QUERIES


def test_while_another_works_on_the_batches_a_run_waits(vendor: Vendor, ledger: Ledger, time: FakeClock) -> None:
    """Of two at once, one writes and submits; the other waits until the lock is free."""
    folder = Folder(ledger.path)
    lock = folder.locked(1)
    assert lock.__enter__()
    heard = Heard(when="another process", act=lambda _: lock.__exit__(None, None, None))

    explanation = explain(vendor, ledger, watch=heard)

    assert time.slept[0] == prefetch.SECONDS_BETWEEN_LOOKS_AT_THE_LOCK
    assert not explanation.partial


def test_a_folder_that_cannot_be_written_is_said(
    vendor: Vendor, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk's word reaches the person, and nothing is held."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bbquery.batches.folder.os.open", refuse)
    with pytest.raises(StorageFailed, match="Permission denied"):
        explain(vendor, ledger)

    monkeypatch.undo()
    assert ledger.budget(1).held.queries == 0


def test_a_full_disk_drops_the_file_in_hand(vendor: Vendor, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing had left: nothing stays held, and the cause is told."""

    def full(*_: object) -> None:
        raise StorageFailed("no space left on device")

    monkeypatch.setattr(Folder, "append", full)
    with pytest.raises(StorageFailed, match="no space left"):
        explain(vendor, ledger)

    assert ledger.budget(1).held.queries == 0
    assert vendor.submissions() == {}


def test_an_error_that_voids_is_no_answer() -> None:
    """The fake's expired line is what the seam says of one."""
    assert NotBilled.outcome == expired().outcome == "voided"
