"""Runs that cost money, by command line: what is shown before, what is capped, and what the record says after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.cli import main
from bbquery.jobs.estimate import estimate
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.oracle import Limits, Quote
from bbquery.units import Units

if TYPE_CHECKING:
    from pathlib import Path

PAID = "function:call=tests.support.models.sides,classes=left|right,version=1,usd_per_query=0.0015"


def explain(photo: str, out: Path, *more: str) -> int:
    return main(
        ["explain", photo, "--oracle", PAID, "--max-queries", "40", "--verify", "0", "--yes", "--out", str(out), *more]
    )


def record(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "run.json").read_text())
    return loaded


def test_a_dry_run_shows_the_worst_case_and_asks_nothing(
    photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queries, tokens, dollars and time are shown before anything is sent, held or written."""
    code = explain(photo, tmp_path / "out", "--dry-run")

    said = capsys.readouterr().out
    assert code == 0
    assert "40 at most" in said
    assert "0.06 expected, 0.06 at worst" in said
    assert "nothing was asked" in said
    assert not (tmp_path / "out").exists()
    assert not (home / "bbquery.sqlite3").exists()


def test_the_record_has_the_exact_cost(photo: str, tmp_path: Path) -> None:
    """run.json says what was posted, in exact dollars, and where the price is from."""
    explain(photo, tmp_path / "out")

    cost = record(tmp_path / "out")["cost"]
    assert (cost["usd"], cost["usd_held"]) == ("0.06", "0.00")
    assert cost["prices"]


def test_a_cap_in_dollars_ends_the_run(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two cents buy thirteen queries, a partial map, and exit code 4."""
    code = explain(photo, tmp_path / "out", "--max-usd", "0.02")

    written = record(tmp_path / "out")
    assert code == 4
    assert written["status"] == "partial"
    assert written["budget"]["posted"] == {"queries": 13, "tokens": 0, "picodollars": 19_500_000_000}
    assert "has $0.0005 of $0.02 left and the next query needs $0.0015" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-usd", "much", "not an amount"),
        ("--max-usd", "-1", "from 0 to 9 million"),
        ("--max-usd", "0", "a budget of $0.00 allows nothing: give more"),
        ("--max-tokens", "0", "a budget of 0 tokens allows nothing: give at least 1"),
        ("--project", "nobody", "bbquery budget set nobody"),
    ],
)
def test_impossible_caps_are_usage_errors(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    """What is no cap, allows nothing or does not exist is said before a query."""
    assert explain(photo, tmp_path / "out", option, value) == 2
    assert said in capsys.readouterr().err


def test_a_project_caps_all_its_runs_together(photo: str, tmp_path: Path, home: Path) -> None:
    """Two runs inside a project of 50 queries: the first takes 40, the second what is left."""
    home.mkdir()
    with Ledger(home / "bbquery.sqlite3") as ledger:
        project = ledger.open_budget("audit", Cap(queries=50))

    codes = [explain(photo, tmp_path / s, "--project", "audit", "--seed", s) for s in ("1", "2")]

    with Ledger(home / "bbquery.sqlite3") as ledger:
        assert ledger.budget(project).posted.queries == 50
    assert codes == [0, 4]
    assert str(record(tmp_path / "1")["budget"]["name"]).startswith("audit/explain-")


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (Limits(), None),
        (Limits(requests_per_minute=600), 106.38),
        (Limits(requests_per_minute=600, tokens_per_minute=6_000), 1063.8),
    ],
)
def test_the_time_is_that_of_the_tighter_limit(limits: Limits, seconds: float | None) -> None:
    """1,000 queries of 100 tokens each take as long as requests or tokens a minute allow, margin left alone."""
    quote = Quote(worst=Units(1, 100, 7), expected=Units(1, 60, 5))

    found = estimate(quote, 1000, limits)

    assert (found.worst, found.expected) == (Units(1000, 100_000, 7000), Units(1000, 60_000, 5000))
    assert found.seconds == (None if seconds is None else pytest.approx(seconds, rel=1e-3))
