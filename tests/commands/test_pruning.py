"""Old runs leave the list, old answers leave the store, and nothing that was paid is forgotten."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.ledger import batches, reports
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.records import Cap
from bbquery.types import Text
from bbquery.units import Units
from tests.support.bookkeeping import COST, asked, remember, sent
from tests.support.runs import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from tests.support.runs import Say

OLD, NEW = "2026-01-05T12:00:00.000+00:00", "2026-06-05T12:00:00.000+00:00"
RUN = "explain-0123456789abcde"


@pytest.fixture
def runs(ledger: Ledger) -> str:
    """An old run, a newer one, one with an unknown, and an empty one, half of them in a project; return the oracle."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o")
    paper = ledger.open_budget("paper", Cap(picodollars=20 * 10**12))
    old = ledger.open_budget(f"{RUN}1", Cap(queries=100))
    part = ledger.open_budget(f"{RUN}1/cat", Cap(queries=50), old)
    new = ledger.open_budget(f"paper/{RUN}2", Cap(queries=100), paper)
    doubtful = ledger.open_budget(f"paper/{RUN}3", Cap(queries=100), paper)
    ledger.open_budget(f"paper/{RUN}4", Cap(queries=100), paper)
    for number, (budget, at) in enumerate([(old, OLD), (part, OLD), (new, NEW)]):
        sent(ledger, budget, asked(oracle, number), at=at, answer=Text("a cat"))
    sent(ledger, doubtful, asked(oracle, 9), "unknown", at=OLD)
    return oracle


def names(ledger: Ledger) -> set[str]:
    found: list[Any] = ledger.read(reports.budgets)
    return {branch.state.name for branch in found}


def spending(ledger: Ledger) -> list[Any]:
    return [(row.label, row.posted, row.cost) for row in ledger.read(lambda c: reports.spending(c, "day"))]


@pytest.mark.usefixtures("runs")
def test_old_runs_are_pruned_and_their_spending_stays(ledger: Ledger, say: Say) -> None:
    """The old run and its parts are gone; what holds an unknown stays; reports by day and sums do not move."""
    before = spending(ledger)
    said = say("budget", "prune", "--before", "2026-03-01", "--yes")

    assert "1 run; 1 more holds what may have been billed: 'bbquery budget reconcile'" in said
    assert names(ledger) == {"paper", f"paper/{RUN}2", f"paper/{RUN}3", f"paper/{RUN}4", "pruned runs"}
    assert spending(ledger) == before
    assert ledger.budget(ledger.find_budget("pruned runs")).posted == COST.times(2)
    (heir,) = ledger.read(lambda c: reports.budgets(c, ledger.find_budget("pruned runs")))
    assert (heir.used, heir.oracles) == (OLD, ("openai gpt-4o",))
    assert ledger.budget(ledger.find_budget("paper")).posted == COST


def test_a_run_with_a_batch_at_work_stays(ledger: Ledger, runs: str, say: Say) -> None:
    """What is on its way to a vendor is not taken out from under it."""
    old = ledger.find_budget(f"{RUN}1")
    asyncio.run(ledger.write(lambda c: batches.begin(c, "b1", old, runs)))

    assert "no such run; 2 more hold" in say("budget", "prune", "--before", "2026-03-01", "--yes")
    assert f"{RUN}1" in names(ledger)


def test_a_run_within_a_run_goes_with_it(ledger: Ledger, say: Say) -> None:
    """Runs of several photos have one inside for each: all of their attempts end in the same place."""
    outer = ledger.open_budget(f"{RUN}1", Cap())
    inner = ledger.open_budget(f"{RUN}1/{RUN}2", Cap(), outer)
    sent(ledger, inner, asked(remember(ledger, oracle="openai", model="gpt-4o"), 0), at=OLD)

    say("budget", "prune", "--before", "2026-03-01", "--yes")

    assert names(ledger) == {"pruned runs"}
    assert ledger.budget(ledger.find_budget("pruned runs")).posted == COST


@pytest.mark.usefixtures("runs")
def test_empty_runs_are_pruned(ledger: Ledger, say: Say) -> None:
    """A run that never sent anything leaves the list; projects stay, however empty."""
    ledger.open_budget("untouched project", Cap(queries=9))
    say("budget", "prune", "--empty", "--yes")

    assert names(ledger) == {
        "paper", "untouched project", f"{RUN}1", f"{RUN}1/cat", f"paper/{RUN}2", f"paper/{RUN}3",
    }  # fmt: skip


@pytest.mark.usefixtures("runs")
def test_a_run_of_a_project_leaves_its_spending_there(ledger: Ledger, say: Say) -> None:
    """The project's amounts stay as they are, and the pruned attempts are its own."""
    say("budget", "prune", "--before", "2026-12-01", "--yes")

    paper = ledger.find_budget("paper")
    assert f"paper/{RUN}2" not in names(ledger)
    assert ledger.budget(paper).posted == COST
    assert ledger.budget(paper).held != Units()
    with Accounts() as accounts:
        assert [a.budget for a in accounts.read(lambda c: list(reports.attempts(c, paper, "posted")))] == ["paper"]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "typed", [("budget", "prune", "--before", "2026-03-01"), ("store", "prune", "--oracle", "gpt-4o")]
)
def test_pruning_is_shown_and_agreed_to(
    typed: tuple[str, ...], ledger: Ledger, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run changes nothing, a script needs --yes, and a person who says no loses nothing."""
    before = names(ledger), list(ledger.find([asked_key(ledger, 0)]))
    shown = say(*typed, "--dry-run")
    refused = say(*typed, code=2)
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    say(*typed, code=2)

    assert "gpt-4o" in shown
    assert "--yes" in refused
    assert (names(ledger), list(ledger.find([asked_key(ledger, 0)]))) == before


def asked_key(ledger: Ledger, number: int) -> bytes:
    return asked(remember(ledger, oracle="openai", model="gpt-4o"), number).key


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("budget", "prune"), "--before DATE"),
        (("store", "prune", "--oracle", "nobody"), "nobody"),
        (("store", "prune", "--project", "nobody"), "bbquery budget set nobody"),
    ],
)
def test_what_cannot_be_pruned_is_explained(typed: tuple[str, ...], said: str, say: Say) -> None:
    """A choice is needed, and names must be known."""
    assert said in say(*typed, code=2)


def test_a_day_is_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    """Other words are refused, with how a day is written."""
    with pytest.raises(SystemExit):
        main(["budget", "prune", "--before", "last week"])

    assert "write it as 2026-01-31" in capsys.readouterr().err


# --- the store ---


@pytest.mark.usefixtures("runs")
def test_the_store_says_its_size_and_what_it_would_cost_again(say: Say) -> None:
    """By oracle: how many answers, of when, how large, and the price to buy them again."""
    said = say("store", "prune")

    line = next(line for line in said.splitlines() if line.startswith("openai gpt-4o"))
    assert line.split()[2:] == ["2026-01-05", "2026-06-05", "3", "84", "bytes", "0.004500000003", "0"]
    assert "to buy them again: 3 queries, 180 tokens, $0.004500000003" in said
    assert "bbquery.sqlite3, the ledger among them" in said
    assert "--before DATE, --oracle NAME or --project NAME" in said


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (("--before", "2026-03-01"), {2}),
        (("--project", "paper"), {0, 1}),
        (("--oracle", "gpt-4o"), set()),
        (("--oracle", "gpt-4o", "--before", "2026-01-05"), {0, 1, 2}),
    ],
)
def test_answers_are_chosen_by_age_project_or_oracle(
    choice: tuple[str, ...], left: set[int], ledger: Ledger, say: Say
) -> None:
    """What is chosen is taken out, and only that; what was spent stays recorded."""
    before = spending(ledger)
    said = say("store", "prune", *choice, "--yes")

    assert {number for number in range(3) if ledger.find([asked_key(ledger, number)])} == left
    assert ("3 answers removed", "2 answers removed", "1 answer removed", "no answers")[len(left)] in said
    assert spending(ledger) == before


def test_a_pruned_answer_is_paid_again_and_vacuum_gives_space_back(say: Say, tmp_path: Path, home: Path) -> None:
    """The same run asks again what was taken out; the file grows smaller by vacuum alone."""
    photo = tmp_path / "photo.png"
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photo)
    oracle = "function:call=tests.support.models.wide,answers=scores,version=1"
    typed = ["explain", str(photo), "--oracle", oracle, "--method", "rise:cells=4", "--max-queries", "300"]
    typed += ["--verify", "0", "--target", "#1", "--out", str(tmp_path / "out")]
    first = say(*typed)
    say("store", "prune", "--oracle", "function", "--yes")
    grown = (home / "bbquery.sqlite3").stat().st_size
    said = say("store", "vacuum")
    shrunk = (home / "bbquery.sqlite3").stat().st_size

    assert "300 asked, 300 sent" in first
    assert shrunk < grown / 2
    assert " before, " in said


@pytest.mark.usefixtures("runs")
def test_what_is_taken_out_is_shown_in_scripts_too(say: Say) -> None:
    """What buying it again costs stands in a script's log; who is not there to agree is told how to see it."""
    told = say("store", "prune", "--before", "2100-01-01", code=2)
    said = say("store", "prune", "--before", "2100-01-01", "--yes")

    assert "--dry-run shows what it is, and what buying it again costs" in told
    assert said.index("to buy them again: ") < said.index("removed")


def test_where_nothing_is_stored_that_is_said(say: Say) -> None:
    """An empty store and an empty list are no mistakes."""
    assert "no answers are stored" in say("store", "prune")
    assert say("budget", "prune", "--empty") == "no such run\n"


def test_runs_know_their_image_and_oracle(say: Say, tmp_path: Path) -> None:
    """After a run the list names the photo, whom it asked, and when."""
    photo = tmp_path / "my cat.png"
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photo)
    oracle = "function:call=tests.support.models.sides,classes=left|right,version=1"
    say("explain", str(photo), "--oracle", oracle, "--max-queries", "5", "--out", str(tmp_path / "out"))

    line = say("budget", "show").splitlines()[4]
    assert "  my cat.png  function tests.support.models.sides  " in line
    assert "  5 of 5  " in line
