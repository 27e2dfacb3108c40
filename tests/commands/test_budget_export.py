"""`bbquery budget export`: every attempt as a row of CSV."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.ledger.records import Cap
from tests.support.bookkeeping import asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from tests.support.runs import Say


def exported(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_export_writes_every_attempt_exactly(say: Say, ledger: Ledger, unknown: int) -> None:
    """One row an attempt with all amounts exact; what is not known is empty."""
    answered, lost = exported(say("budget", "export"))

    fingerprint = remember(ledger, oracle="openai", model="gpt-4o")
    assert answered == {
        "attempt": "1",
        "key": asked(fingerprint, 1).key.hex(),
        "budget": "paper > run",
        "oracle": "openai gpt-4o",
        "fingerprint": fingerprint,
        "model": "gpt-4o",
        "state": "posted",
        "reason": "",
        "hold_queries": "1",
        "hold_tokens": "100",
        "hold_usd": "0.0021",
        "cost_queries": "1",
        "cost_tokens": "60",
        "cost_usd": "0.001500000001",
        "opened": "2026-04-13T12:00:00.000+00:00",
        "closed": "2026-04-13T12:00:00.000+00:00",
    }
    assert (lost["attempt"], lost["state"], lost["cost_usd"]) == (str(unknown), "unknown", "")
    assert lost["reason"] == "OutcomeUnknown: no answer within 30 seconds"


def test_export_to_a_file_replaces_it_whole(say: Say, unknown: int, tmp_path: Path) -> None:
    """The file is what standard output would have been, nothing lies beside it, and who reads the old one keeps it."""
    path = tmp_path / "attempts.csv"
    path.write_text("old")

    with path.open() as reader:
        said = say("budget", "export", "--out", str(path))
        assert reader.read() == "old"

    assert said == f"2 attempts in {path}\n"
    assert path.read_text() == say("budget", "export")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["attempts.csv"]
    assert unknown


@pytest.mark.usefixtures("unknown")
def test_export_where_nothing_can_be_written_is_explained(say: Say, tmp_path: Path) -> None:
    """A folder that does not exist, or in the file's place, or no name at all, is a usage error that names it."""
    assert "cannot write ." in say("budget", "export", "--out", ".", code=2)
    assert "cannot write" in say("budget", "export", "--out", str(tmp_path / "no" / "where.csv"), code=2)
    assert "cannot write" in say("budget", "export", "--out", str(tmp_path), code=2)


@pytest.mark.parametrize("length", [10, 100_000])
def test_whoever_reads_an_export_may_stop_early(ledger: Ledger, length: int) -> None:
    """`bbquery budget export | head -1` ends quietly, whether it notices amid the rows or at their end."""
    sent(ledger, ledger.open_budget("b", Cap()), asked(remember(ledger, model="m"), 1), "unknown", reason="x" * length)
    command = [sys.executable, "-m", "bbquery", "budget", "export"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
        assert export.stdout is not None
        export.stdout.close()
        assert export.stderr is not None
        err = export.stderr.read()

    assert (export.returncode, err) == (0, b"")


def test_a_reason_in_any_script_is_exported(say: Say, ledger: Ledger) -> None:
    """Commas, quotes, line ends, and half a character that a server sent, survive the CSV."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap())
    sent(ledger, budget, asked(oracle, 1), "unknown", reason='said "wait, ü"\nand left')

    (row,) = exported(say("budget", "export"))

    assert row["reason"] == 'said "wait, ü"\nand left'
    assert '"wait, ü" and left' in say("budget", "reconcile")
