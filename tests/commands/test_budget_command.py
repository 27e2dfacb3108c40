"""`bbquery budget`: what a person types, reads and settles."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from bbquery.ledger.records import Cap
from bbquery.units import Units
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from tests.support.runs import Say


def held(ledger: Ledger, name: str = "run") -> Units:
    return ledger.budget(ledger.find_budget(name)).held


def posted(ledger: Ledger, name: str = "run") -> Units:
    return ledger.budget(ledger.find_budget(name)).posted


# --- show ---


@pytest.mark.usefixtures("unknown")
def test_show_draws_the_tree_with_exact_amounts(say: Say, home: Path) -> None:
    """A line for each unit that is capped or used, aligned, indented by nesting; and where things are kept."""
    said = say("budget", "show", "paper")

    assert said == (
        f"ledger: {home}/bbquery.sqlite3\n"
        f"prices: {home}/prices.toml (not there: the package's own table holds)\n"
        "\n"
        "budget  unit             posted    held             left      cap\n"
        "paper   queries               1       1                -        -\n"
        "        tokens               60     100                -        -\n"
        "        dollars  0.001500000001  0.0021  19.996399999999    20.00\n"
        "  run   queries               1       1               98      100\n"
        "        tokens               60     100           999840  1000000\n"
        "        dollars  0.001500000001  0.0021                -        -\n"
        "\n"
        "1 attempt may have been billed without an answer, so what it may have cost stays held: "
        "see 'bbquery budget reconcile'\n"
    )


def test_show_is_a_table_of_runs(say: Say, ledger: Ledger) -> None:
    """A line for each budget: when it was last used, its image, whom it asked, what it spent of what is allowed."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o")
    paper = ledger.open_budget("paper", Cap(picodollars=20 * 10**12))
    run = ledger.open_budget("paper/explain-0123456789abcdef", Cap(queries=100), paper, "cat.jpg")
    sent(ledger, run, asked(oracle, 1))
    sent(ledger, run, asked(oracle, 2), "unknown")

    header, project, row = say("budget", "show").splitlines()[3:6]
    when = "  2026-04-13 12:00  "
    assert header.split() == ["budget", "last", "used", "image", "oracle", "queries", "dollars", "held"]
    assert " ".join(project.split()) == (
        "paper 2026-04-13 12:00 - openai gpt-4o 1 0.001500000001 of 20.00 1 query, 100 tokens, $0.0021"
    )
    assert row.startswith(f"  paper/explain-0123456789abcdef{when}cat.jpg  openai gpt-4o  1 of 100  ")
    assert row.endswith("  0.001500000001  1 query, 100 tokens, $0.0021")
    assert len(project) == len(row)


@pytest.mark.usefixtures("unknown")
def test_show_for_programs_is_exact(say: Say, home: Path) -> None:
    """JSON carries counts as numbers and dollars as exact text, and nesting by name."""
    shown = json.loads(say("budget", "show", "run", "--json"))

    assert shown == {
        "ledger": f"{home}/bbquery.sqlite3",
        "prices": f"{home}/prices.toml",
        "budgets": [
            {
                "name": "run",
                "inside": "paper",
                "image": None,
                "last_used": "2026-04-13T12:00:00.000+00:00",
                "oracles": ["openai gpt-4o"],
                "queries": {"posted": 1, "held": 1, "left": 98, "cap": 100},
                "tokens": {"posted": 60, "held": 100, "left": 999840, "cap": 1000000},
                "usd": {"posted": "0.001500000001", "held": "0.0021", "left": None, "cap": None},
            }
        ],
    }


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize(("by", "label"), [("model", "gpt-4o"), ("run", "paper > run"), ("day", "2026-04-13")])
def test_show_by_tells_what_was_spent(say: Say, by: str, label: str) -> None:
    """Counts by how attempts ended, what they cost and what is held, by model, run or day; for programs too."""
    header, row = say("budget", "show", "--by", by).splitlines()[3:5]
    (plain,) = json.loads(say("budget", "show", "--by", by, "--json"))["spending"]

    assert " ".join(header.split()) == f"{by} posted voided unknown in flight tokens dollars held tokens held dollars"
    assert row.removeprefix(label).split() == ["1", "0", "1", "0", "60", "0.001500000001", "100", "0.0021"]
    assert plain == {
        "label": label,
        "attempts": {"posted": 1, "voided": 0, "unknown": 1, "in_flight": 0},
        "cost": {"queries": 1, "tokens": 60, "usd": "0.001500000001"},
        "held": {"queries": 1, "tokens": 100, "usd": "0.0021"},
    }


def test_show_before_anything_was_spent(say: Say, home: Path) -> None:
    """A fresh machine has no budgets, which is no mistake; the user's own prices are named once they are there."""
    empty, nothing = say("budget", "show"), say("budget", "show", "--by", "day")
    (home / "prices.toml").write_text("")

    assert "no budgets yet: 'bbquery explain' makes one for each run" in empty
    assert "nothing was sent yet" in nothing
    assert f"prices: {home}/prices.toml\n" in say("budget", "show")
    assert json.loads(say("budget", "show", "--json"))["budgets"] == []


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("typed", [["show", "papr"], ["reconcile", "--budget", "papr"], ["export", "--budget", "papr"]])
def test_a_budget_that_does_not_exist_is_named(say: Say, typed: list[str]) -> None:
    """A misspelt name is a usage error that lists the known ones."""
    said = say("budget", *typed, code=2)

    assert "'papr'" in said
    assert "known: paper, run" in said


# --- set ---


def test_set_makes_a_budget_inside_another(say: Say, ledger: Ledger) -> None:
    """A new budget has the caps that are given, to the picodollar, and lies where it is told to."""
    say("budget", "set", "paper", "--max-usd", "20.000000000001")
    said = say("budget", "set", "run", "--inside", "paper", "--max-queries", "1000", "--max-tokens", "50000")

    assert ledger.budget(ledger.find_budget("paper")).cap == Cap(picodollars=20_000_000_000_001)
    assert ledger.budget(ledger.find_budget("run")).cap == Cap(queries=1000, tokens=50000)
    assert json.loads(say("budget", "show", "run", "--json"))["budgets"][0]["inside"] == "paper"
    assert said.splitlines()[1].split() == ["run", "queries", "0", "0", "1000", "1000"]


def test_set_changes_what_is_given_and_nothing_else(say: Say, ledger: Ledger) -> None:
    """Caps that are not named stay, as does the place; "none" takes one away."""
    say("budget", "set", "paper")
    say("budget", "set", "run", "--inside", "paper", "--max-queries", "10", "--max-tokens", "500", "--max-usd", "1")

    say("budget", "set", "run", "--max-queries", "20", "--max-tokens", "none")

    assert ledger.budget(ledger.find_budget("run")).cap == Cap(queries=20, picodollars=10**12)
    assert say("budget", "set", "run", "--inside", "paper", "--max-usd", "none")
    assert ledger.budget(ledger.find_budget("run")).cap == Cap(queries=20)


@pytest.mark.usefixtures("unknown")
def test_a_cap_below_what_is_spent_is_explained(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """It becomes what is spent, so that nothing more is sent; the sums and what may follow are said."""
    code = main(["budget", "set", "run", "--max-usd", "0.002", "--max-queries", "2"])

    said = capsys.readouterr()
    assert code == 0
    assert ledger.budget(ledger.find_budget("run")).cap == Cap(queries=2, tokens=10**6, picodollars=3_600_000_001)
    assert "0.002 dollars is below what is spent (0.001500000001 posted, 0.0021 held)" in said.err
    assert "so the cap is 0.003600000001, and nothing more may be sent" in said.err
    assert "then set --max-usd anew" in said.err
    assert "queries" not in said.err


def test_a_cap_below_what_is_posted_needs_no_word_on_holds(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is held, nothing can be released."""
    sent(ledger, ledger.open_budget("b", Cap()), asked(remember(ledger, model="m"), 1))
    sent(ledger, ledger.open_budget("b", Cap()), asked(remember(ledger, model="m"), 2))

    main(["budget", "set", "b", "--max-queries", "1"])

    assert capsys.readouterr().err.endswith("so the cap is 2, and nothing more may be sent\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["x", "--inside", "nowhere"], "'nowhere'"),
        (["run", "--inside", "other"], "budget 'run' lies in 'paper' and cannot move"),
        (["other", "--inside", "paper"], "budget 'other' lies in no other and cannot move"),
        (["paper", "--inside", "paper"], "cannot move"),
    ],
)
@pytest.mark.usefixtures("unknown")
def test_a_budget_lies_where_it_was_made(say: Say, ledger: Ledger, typed: list[str], said: str) -> None:
    """Moving one would move its past; a place that does not exist is not made by accident."""
    ledger.open_budget("other", Cap())

    assert said in say("budget", "set", *typed, code=2)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[2J"])
def test_a_budget_has_a_name_that_can_be_read(say: Say, name: str) -> None:
    """Nothing, spaces, line ends and a terminal's secret signs are no names."""
    assert "is no name for a budget" in say("budget", "set", name, code=2)


@pytest.mark.parametrize(
    "typed",
    [
        *(
            ["set", "b", option, value]
            for option in ("--max-queries", "--max-tokens")
            for value in ("0", "-1", "1.5", "x")
        ),
        *(["set", "b", "--max-usd", value] for value in ("0", "-1", "$3", "nan")),
        ["set", "b", "--max-queries", "9" * 30],
        ["show", "--by", "week"],
        [],
        ["reconcile", "--attempt", "one"],
        ["reconcile", "--attempt", "1", "--all"],
        ["reconcile", "--attempt", "1", "--outcome", "unknown"],
        ["reconcile", "--attempt", "1", "--outcome", "posted", "--usd", "1,5"],
    ],
)
def test_what_cannot_be_read_shows_the_usage(typed: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Impossible amounts and choices show how the command is written, with exit code 2, and open nothing."""
    with pytest.raises(SystemExit) as stop:
        main(["budget", *typed])

    assert stop.value.code == 2
    assert "usage: bbquery budget" in capsys.readouterr().err
    assert not home.exists()


# --- reconcile: listing and by hand ---


def test_reconcile_lists_unknowns_and_how_to_settle_them(say: Say, unknown: int) -> None:
    """Without options: each unknown with its time, budget, model, hold and reason, and the commands that settle it."""
    said = say("budget", "reconcile")

    assert "attempt  sent                 budget       model   held" in said
    assert (
        f"{unknown}        2026-04-13T12:00:00  paper > run  gpt-4o  1 query, 100 tokens, $0.0021  "
        "OutcomeUnknown: no answer within 30 seconds" in said
    )
    assert "bbquery budget reconcile --attempt ID --outcome voided" in said


def test_reconcile_says_when_nothing_is_unknown(say: Say) -> None:
    """No unknowns is good news."""
    assert "nothing is unknown" in say("budget", "reconcile")


def test_what_a_killed_process_left_can_be_settled_at_once(say: Say, home: Path) -> None:
    """After kill -9, the attempts that were in flight are listed as unknown without any other command in between."""
    home.mkdir()
    killed = (
        "import os, signal\n"
        "from bbquery.ledger.records import Cap\n"
        "from bbquery.ledger.ledger import Ledger\n"
        "from tests.support.bookkeeping import asked, remember, sent\n"
        "ledger = Ledger()\n"
        "sent(ledger, ledger.open_budget('run', Cap()), asked(remember(ledger, model='m'), 1), None)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed], check=False)

    assert "the process that sent it ended without an outcome" in say("budget", "reconcile")
    assert "1 settled" in say("budget", "reconcile", "--all", "--outcome", "voided")


def test_one_attempt_is_settled_by_hand(say: Say, ledger: Ledger, unknown: int) -> None:
    """Posted at the cost that is typed, and at what was held for the rest; it is said what was done."""
    said = say(
        "budget", "reconcile", "--attempt", str(unknown), "--outcome", "posted", "--usd", "0.0009", "--tokens", "1"
    )

    assert said == (
        f"attempt {unknown} of paper > run: posted at 1 query, 1 token, $0.0009; "
        "1 query, 100 tokens, $0.0021 held no longer\n1 settled\n"
    )
    assert posted(ledger) == posted(ledger, "paper") == Units(2, COST.tokens + 1, COST.picodollars + 900_000_000)
    assert held(ledger) == Units()


def test_all_are_settled_within_a_budget(say: Say, ledger: Ledger, unknown: int) -> None:
    """--all takes every unknown, of one budget where it is named, and leaves the others."""
    oracle = remember(ledger, model="m")
    other = sent(ledger, ledger.open_budget("other", Cap()), asked(oracle, 9), "unknown")

    said = say("budget", "reconcile", "--all", "--outcome", "voided", "--budget", "paper")

    assert said.splitlines() == [
        f"attempt {unknown} of paper > run: voided; 1 query, 100 tokens, $0.0021 held no longer",
        "1 settled",
    ]
    assert (held(ledger), held(ledger, "other")) == (Units(), HOLD)
    assert f"attempt {other} of other: posted" in say("budget", "reconcile", "--all", "--outcome", "posted")
    assert say("budget", "reconcile", "--all", "--outcome", "posted") == "nothing was settled\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--attempt", "1"], "say how it ended"),
        (["--all"], "say how it ended"),
        (["--outcome", "posted"], "name one with --attempt ID"),
        (["--all", "--outcome", "posted", "--usd", "1"], "name it with --attempt ID"),
        (["--csv", "x.csv", "--outcome", "posted"], "name one with --attempt ID"),
        (["--attempt", "1", "--outcome", "voided"], "attempt 1 is posted already"),
        (["--attempt", "77", "--outcome", "voided"], "there is no attempt 77"),
        (["--attempt", "2", "--outcome", "voided", "--usd", "1"], "cannot be voided at a cost"),
        (["--attempt", "2", "--outcome", "voided", "--budget", "other"], "lies in budget 'paper > run'"),
        (["--csv", "missing.csv"], "cannot read the CSV file 'missing.csv': No such file"),
    ],
)
def test_what_cannot_be_settled_is_explained(
    say: Say, ledger: Ledger, unknown: int, typed: list[str], said: str
) -> None:
    """Contradictions, strangers and files that are not there: exit code 2, and every hold stays."""
    ledger.open_budget("other", Cap())
    assert unknown == 2

    assert said in say("budget", "reconcile", *typed, code=2)

    assert held(ledger) == HOLD


# --- reconcile: files ---


def test_an_export_with_outcomes_written_into_it_settles_them(
    say: Say, ledger: Ledger, unknown: int, tmp_path: Path
) -> None:
    """The way for many unknowns: export them, fill in outcome and cost, and hand the file back."""
    path = tmp_path / "unknowns.csv"
    say("budget", "export", "--state", "unknown", "--out", str(path))
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "outcome", "usd"])
        writer.writeheader()
        writer.writerows(row | {"outcome": "posted", "usd": "0.0005"} for row in rows)

    said = say("budget", "reconcile", "--csv", str(path))

    assert [row["attempt"] for row in rows] == [str(unknown)]
    assert f"attempt {unknown} of paper > run: posted at 1 query, 100 tokens, $0.0005" in said
    assert held(ledger, "paper") == Units()


def test_a_file_with_one_bad_row_settles_nothing(say: Say, ledger: Ledger, unknown: int, tmp_path: Path) -> None:
    """The rows before the bad one are taken back, whether the file or the ledger finds it bad."""
    path = tmp_path / "verdicts.csv"
    for bad in ("77,voided", "1,voided", "x,voided", "5"):
        path.write_text(f"attempt,outcome\n{unknown},voided\n{bad}\n")
        say("budget", "reconcile", "--csv", str(path), code=2)

    assert held(ledger) == HOLD


def test_a_vendors_report_is_compared_and_settles_what_it_proves(
    say: Say, ledger: Ledger, unknown: int, tmp_path: Path
) -> None:
    """Vendor, ledger and difference side by side, the conclusion, and what was settled by it."""
    path = tmp_path / "usage.csv"
    path.write_text("day,model,queries,tokens,usd\n2026-04-13,gpt-4o-2024-08-06,2,130,0.0025\n2026-04-15,o9,1,5,0.1\n")

    said = say("budget", "reconcile", "--csv", str(path))

    assert said.splitlines() == [
        "from        model   unit     vendor          posted      difference  unknown",
        "2026-04-13  gpt-4o  queries       2               1               1        1",
        "2026-04-13  gpt-4o  tokens      130              60              70      100",
        "2026-04-13  gpt-4o  dollars  0.0025  0.001500000001  0.000999999999   0.0021",
        "2026-04-15  o9      queries       1               0               1        0",
        "2026-04-15  o9      tokens        5               0               5        0",
        "2026-04-15  o9      dollars    0.10            0.00            0.10     0.00",
        "",
        "2026-04-13 gpt-4o: agrees if every unknown was billed",
        "2026-04-15 o9: differs, and no unknown explains it",
        f"attempt {unknown} of paper > run: posted at 1 query, 70 tokens, $0.000999999999; "
        "1 query, 100 tokens, $0.0021 held no longer",
        "1 settled",
    ]
    assert posted(ledger, "paper") == Units(2, 130, 2_500_000_000)


@pytest.mark.usefixtures("unknown")
def test_a_report_that_proves_nothing_changes_nothing(say: Say, ledger: Ledger, tmp_path: Path) -> None:
    """Differences are shown, and what lies outside the report is counted; holds stay."""
    path = tmp_path / "usage.csv"
    path.write_text("start,end,model,queries\n2026-04-14T10:00,2026-04-14T11:00,gpt-4o,5\n")

    said = say("budget", "reconcile", "--csv", str(path))

    assert "2026-04-14T10:00 gpt-4o: differs" in said
    assert "1 unknown attempts are of models or times that the report does not cover" in said
    assert said.endswith("nothing was settled\n")
    assert held(ledger) == HOLD


@pytest.mark.usefixtures("unknown")
def test_a_report_counts_every_budget(say: Say, tmp_path: Path) -> None:
    """A vendor does not know budgets, so naming one with its report is a mistake."""
    path = tmp_path / "usage.csv"
    path.write_text("day,model,queries\n2026-04-13,gpt-4o,1\n")

    assert "leave --budget out" in say("budget", "reconcile", "--csv", str(path), "--budget", "run", code=2)


def test_the_help_says_what_the_files_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Every column is documented where it is needed."""
    with pytest.raises(SystemExit):
        main(["budget", "reconcile", "--help"])

    said = capsys.readouterr().out
    for column in ("attempt", "outcome", "day", "start_time", "model", "num_model_requests", "input_tokens", "usd"):
        assert column in said
