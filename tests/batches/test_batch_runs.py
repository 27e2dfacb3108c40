"""Batch runs in this process: what they bring, what they cost, and what cannot be asked as a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.batch_oracle import BatchLimits, BatchOracle
from bbquery.batches.folder import Folder
from bbquery.errors import (
    BudgetExhausted,
    CostAboveHold,
    UsageError,
)
from bbquery.ledger.ledger import Ledger
from bbquery.saliency import Method
from bbquery.saliency.rise import Rise
from tests.support.batches_vendor import BILL, FULL, HALF, HALF_BILL, Vendor, expired
from tests.support.bookkeeping import guard_caps

if TYPE_CHECKING:
    from pathlib import Path

from tests.support.batch_runs import METHOD, PHOTO, QUERIES, explain, map_of, ordinary

pytestmark = pytest.mark.usefixtures("time")


def test_the_vendor_of_these_tests_keeps_the_protocol(vendor: Vendor) -> None:
    """What the tests ask is what the seam describes."""
    assert isinstance(vendor, BatchOracle)


def test_a_run_by_the_file_gives_the_ordinary_map_at_the_price_of_a_batch(
    vendor: Vendor, ledger: Ledger, tmp_path: Path
) -> None:
    """The unperturbed image is asked at once, all else as a batch: same bytes, and the ledger is the bill."""
    guard_caps(ledger)

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


class Adaptive(Rise):
    adaptive = True


class Silent(Method):
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


# --- what cannot be asked as a batch ---


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
    with pytest.raises(UsageError, match="fake takes no batches: leave out batch"):
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
    guard_caps(ledger)
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
    guard_caps(ledger)
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
