"""Queries that are lost: what is kept for them, and the one command that completes a run that lost more."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.client.flights import Flights
from bbquery.commands import completing
from bbquery.errors import BudgetExhausted, UsageError
from bbquery.jobs.spare import Rest, kept
from bbquery.ledger.records import BudgetState, Cap
from bbquery.oracle import Price
from bbquery.units import NOTHING, Units
from tests.support.counted import watched

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES = "function:call=tests.support.counted.sides,classes=left|right,version=1,usd_per_query=0.001"
HALVES = "function:call=tests.support.counted.brighter_half,answers=labels,version=1,usd_per_query=0.001"
SOFT = ("--score", "soft")
QUERIES = 100
"""Of which two are kept for lost ones."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once what was lost."""

    async def at_once(_: Flights, seconds: float) -> None:
        assert seconds > 0

    monkeypatch.setattr(Flights, "_sleep", at_once)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(100, 110, (16, 20, 3), dtype=np.uint8)
    pixels[:, :10] += 10
    path = tmp_path / "photo.png"
    Pillow.fromarray(pixels).save(path)
    return path


def explain(photo: Path, *more: str) -> list[str]:
    caps = ("--max-queries", str(QUERIES), "--max-usd", "9", "--method", "rise:cells=4", "--verify", "0")
    return ["explain", str(photo), "--oracle", SIDES, "--out", str(photo.parent / "out"), *caps, *more]


def several(photo: Path) -> list[str]:
    other = photo.with_name("other.png")
    with Pillow.open(photo) as opened:
        opened.rotate(180).save(other)
    caps = ("--max-queries-per-image", str(QUERIES), "--max-usd", "9", "--method", "rise:cells=4", "--verify", "0")
    return ["explain", str(photo), str(other), "--oracle", SIDES, "--out", str(photo.parent / "out"), *caps]


def compare(photo: Path) -> list[str]:
    how = ("--methods", "rise:cells=4,rise:cells=3", "--max-queries", str(QUERIES), "--max-usd", "9")
    return ["compare", str(photo), "--oracle", SIDES, "--out", str(photo.parent / "out"), "--evaluate", *how]


def evaluate(photo: Path) -> list[str]:
    np.save(photo.with_name("map.npy"), np.arange(320.0).reshape(16, 20))
    how = ("--metrics", "srg", "--steps", "49", "--max-queries", "102", "--max-usd", "9", "--target", "left")
    typed = ["evaluate", str(photo.with_name("map.npy")), str(photo), "--oracle", SIDES, *how]
    return [*typed, "--out", str(photo.parent / "out")]


def probe(photo: Path) -> list[str]:
    how = ("--max-queries", str(QUERIES), "--max-usd", "9", *SOFT)
    return ["probe", str(photo), "--oracle", SIDES, "--out", str(photo.parent / "out"), *how]


def attack(photo: Path) -> list[str]:
    how = ("--max-queries", "400", "--attack", "lr_mifgsm:cells=4", "--yes", "--max-usd", "9", "--score", "label")
    return ["attack", str(photo), "--oracle", HALVES, "--out", str(photo.parent / "out"), *how]


RUNS = pytest.mark.parametrize("run", [explain, several, compare, evaluate, probe, attack])


def printed(said: str) -> list[str]:
    """Return the arguments of the command that is said to complete a run."""
    found = re.search(r"completes .*:\n(?:bbquery: )? *bbquery (.*)", said)
    assert found, said
    return shlex.split(found[1])


@RUNS
def test_a_lost_query_does_not_end_a_run(run: Callable[[Path], list[str]], photo: Path) -> None:
    """One query in 50 is kept for those whose outcome is unknown, so one loss leaves every command complete."""
    watched.begin({20})

    assert main(run(photo)) == 0
    assert watched.calls > 80


@pytest.mark.parametrize(("run", "lost"), [(compare, 4), (evaluate, 2), (attack, 2)])
def test_queries_that_are_lost_at_the_end_do_not_end_a_run(
    run: Callable[[Path], list[str]], lost: int, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries are kept for the last part of a run too: measuring the last map, verifying what an attack found."""
    watched.begin()
    assert main(run(photo)) == 0
    whole = watched.calls
    monkeypatch.setenv("BBQUERY_HOME", str(photo.parent / "another"))
    watched.begin(range(whole - lost, whole))

    assert main(run(photo)) == 0
    assert watched.calls == whole + lost


@RUNS
def test_the_printed_command_completes_a_run_that_lost_more(
    run: Callable[[Path], list[str]], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After more losses than were kept for, exit code 4 and one command; it asks no more than what is missing."""
    watched.begin(range(30, 60))
    assert main(run(photo)) == 4
    command = printed(capsys.readouterr().err)

    beside = {"compare": 113, "attack": 2 * 6}  # measuring, and both verifications, which need the whole first
    watched.begin()
    assert main(command) == 0, command
    asked = watched.calls

    assert 0 < asked <= 30 + beside.get(run.__name__, 0)
    assert main(command) == 0
    assert watched.calls == asked  # and once more for nothing


@pytest.mark.parametrize("run", [explain, attack])
def test_losses_while_completing_are_allowed_for_again(
    run: Callable[[Path], list[str]], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the completing run loses queries too, it prints the next command, until all is there."""
    command, code = run(photo), 4
    for start in (40, 5, 0):
        watched.begin(range(start, start + 12))
        code = main(command)
        if code == 0:
            break
        command = printed(capsys.readouterr().err)
    watched.begin()

    assert code == 0 or main(command) == 0


def test_a_run_that_a_project_ended_is_completed_by_raising_the_project(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a budget above has too little, its own command comes first, and both run as they stand."""
    watched.begin()
    main(["budget", "set", "my audit", "--max-queries", "40"])
    assert main(explain(photo, "--project", "my audit")) == 4
    said = capsys.readouterr().err.splitlines()
    line = next(line for line in said if line.strip().startswith("bbquery budget set"))
    first, second = (shlex.split(part)[1:] for part in line.split(" && "))

    assert first[:3] == ["budget", "set", "my audit"]
    assert main(first) == 0
    assert main(second) == 0
    assert watched.calls == QUERIES - 2


def test_a_run_that_never_began_says_which_budget_to_raise(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a project is used up before the first query, exit code 4 and the command that raises it."""
    watched.begin()
    main(["budget", "set", "audit", "--max-queries", "10"])
    main(explain(photo, "--project", "audit"))
    capsys.readouterr()
    other = [f"{SIDES},height=8,width=8" if each == SIDES else each for each in explain(photo, "--project", "audit")]

    assert main([*other, "--force"]) == 4
    assert "bbquery budget set audit --max-queries 11 && bbquery explain" in capsys.readouterr().err


def test_a_run_that_its_dollars_ended_is_completed_by_more_dollars(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cap that ended the run is the one that is raised, by the worst case of what is missing."""
    watched.begin()
    typed = explain(photo)
    typed[typed.index("9")] = "0.04"
    assert main(typed) == 4
    command = printed(capsys.readouterr().err)

    assert command[command.index("--max-usd") + 1] == "0.10"
    assert "--spare" not in command
    assert main(command) == 0


def test_what_a_person_keeps_is_kept(photo: Path) -> None:
    """--spare 0 asks all that the cap allows; a number of one's own leaves so many."""
    for spare, asked in (("10", 90), ("0", 10)):
        watched.begin()
        assert main(explain(photo, "--spare", spare, "--out", str(photo.parent / spare))) == 0
        assert watched.calls == asked


@pytest.mark.parametrize("spare", ["-1", "100"])
def test_what_cannot_be_kept_is_refused(photo: Path, spare: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number that leaves nothing, or below 0, is a usage error before anything is asked."""
    watched.begin()

    assert main(explain(photo, "--spare", spare)) == 2
    assert f"--spare {spare}" in capsys.readouterr().err
    assert watched.calls == 0


def test_one_rule_says_how_much_is_kept() -> None:
    """One query in 50; nothing for oracles whose lost queries were not billed; what is stated holds."""
    assert [kept(queries, Price()) for queries in (20, 100, 113, 1000)] == [0, 2, 2, 20]
    assert kept(1000, Price(free=True)) == 0
    assert kept(1000, Price(free=True), 7) == 7
    with pytest.raises(UsageError, match="--spare 9"):
        kept(9, Price(), 9)


def rest(*, answered: int, posted: Units, held: Units = NOTHING, cap: Cap) -> Rest:
    return Rest(98, 98, answered, Units(1, 10, 1000), BudgetState(1, "run", cap, posted, held))


def test_caps_are_raised_by_what_is_missing_and_no_more() -> None:
    """What is spent and held, and the worst case of the rest; a cap that is large enough stays."""
    short = rest(answered=95, posted=Units(95, 950, 5), held=Units(5, 50, 5000), cap=Cap(queries=100, tokens=10**6))

    assert short.missing == 3
    assert short.cap() == Cap(queries=104, tokens=10**6)
    assert completing.raised(short) == {"--max-queries": "104", "--spare": "6"}
    assert completing.raised(short, plan_is_fixed=True) == {"--max-queries": "104"}


@pytest.mark.parametrize(
    ("answered", "held", "options"),
    [
        (40, 0, {}),  # 58 more, and two for losses that none of the 40 foretells
        (0, 0, {}),
        (39, 1, {"--max-queries": "101", "--spare": "3"}),
    ],
)
def test_where_nothing_was_lost_and_the_rest_fits_the_caps_stay(
    answered: int, held: int, options: dict[str, str]
) -> None:
    """A run that a person stopped is completed by the command that was typed, unless a query of it was lost."""
    stopped = rest(answered=answered, posted=Units(answered, 0, 0), held=Units(held, 0, 0), cap=Cap(queries=98 + held))

    assert completing.raised(stopped) == options


def test_a_command_keeps_all_else_that_was_typed() -> None:
    """Options are put in place of those of the same name, however they were written; others are added at the end."""
    typed = ["bbquery", "explain", "my photo.jpg", "--max-queries=10", "--spare", "2", "--target", "a,b"]

    found = completing.with_options(typed, {"--max-queries": "13", "--spare": "5", "--max-usd": "2"})

    assert shlex.join(found) == ("bbquery explain 'my photo.jpg' --max-queries 13 --spare 5 --target a,b --max-usd 2")


def test_a_command_raises_the_budget_that_ended_the_run() -> None:
    """A project's cap is raised by the worst case of what is missing, in its own unit."""
    short = rest(answered=90, posted=Units(90, 0, 0), cap=Cap(queries=100))
    queries, dollars = (
        BudgetExhausted("audit", unit, remaining=1, needed=needed, cap=cap)
        for unit, needed, cap in (("queries", 1, 50), ("picodollars", 10**9, 2 * 10**9))
    )

    assert completing.command(["bbquery", "x"], short, queries) == (
        "bbquery budget set audit --max-queries 57 && bbquery x"
    )
    assert completing.command(["bbquery", "x"], short, dollars) == (
        "bbquery budget set audit --max-usd 0.01 && bbquery x"
    )


def record(photo: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((photo.parent / "out" / "run.json").read_text())
    return loaded


def test_the_plan_of_the_completed_run_is_the_same(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cap and what is kept rise together, so the completed run resumes the same budget."""
    watched.begin(range(30, 60))
    main(explain(photo))
    before = record(photo)
    watched.begin()
    main(printed(capsys.readouterr().err))

    after = record(photo)
    assert (before["run"], before["status"], after["status"]) == (after["run"], "partial", "complete")
    assert before["budget"]["name"] == after["budget"]["name"]


def test_what_is_kept_for_no_other_run_is_begun_anew(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers of a function without a version are not kept, so the command that is printed asks all, and works."""
    unnamed = "function:call=tests.support.counted.sides,classes=left|right,usd_per_query=0.001"
    watched.begin(range(3, 30))
    assert main([unnamed if part == SIDES else part for part in explain(photo)]) == 4
    said = capsys.readouterr().err
    watched.begin()

    assert "this begins it anew, since answers of a function are kept only where version= names it:" in said
    printed = next(line.strip() for line in said.splitlines() if line.startswith("  bbquery explain "))
    assert main(shlex.split(printed)[1:]) == 0
