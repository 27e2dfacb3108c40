"""Batch runs in this process: how they wait, are interrupted, and go beside others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.batches import prefetch, results, transport
from bbquery.batches.folder import Folder
from bbquery.client.halt import Interrupted
from bbquery.errors import (
    NotBilled,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    StorageFailed,
    Unreachable,
    UsageError,
)
from bbquery.ledger.ledger import Ledger
from bbquery.saliency.rise import Rise
from tests.support.batches_vendor import HALF, Vendor, expired

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.errors import BbqueryError
    from tests.support.clocks import FakeClock
from tests.support.batch_runs import QUERIES, Heard, explain, map_of, ordinary

pytestmark = pytest.mark.usefixtures("time")


def interrupted(vendor: Vendor, ledger: Ledger, when: str) -> tuple[BbqueryError, Heard]:
    """Run until something is said, and interrupt it there."""
    heard = Heard(when=when, act=Heard.interrupt)
    with pytest.raises(Interrupted) as caught:
        explain(vendor, ledger, watch=heard)
    return caught.value, heard


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
