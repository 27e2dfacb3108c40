"""`bbquery probe`: what a person types, reads and finds in the output folder."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from PIL import Image as Pillow

from bbquery import cli
from bbquery.cli import main
from bbquery.commands import probe_tables
from bbquery.jobs.probe.design import Design
from bbquery.ledger.records import BudgetState, Cap
from bbquery.units import Units
from oracles import function
from oracles.emulators.http import Faults, HttpEmulator
from tests.support import models

if TYPE_CHECKING:
    from pathlib import Path

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
PAID = f"{SIDES},usd_per_query=0.0015"


def probe(photo: str, out: Path, *more: str, oracle: str = SIDES) -> int:
    """Probe by a few scores: others may need data that a machine lacks."""
    scores = ("--score", "soft", "--score", "soft:form=log_odds")
    return main(["probe", photo, "--oracle", oracle, "--out", str(out), *scores, *more])


def written(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "probe.json").read_text(encoding="utf-8"))
    return found


def following(said: str) -> list[str]:
    """Return the command that is recommended, as arguments."""
    return shlex.split(said.split("next:\n")[1].split("\n", maxsplit=1)[0])


@pytest.mark.full_pictures
def test_it_writes_figures_and_a_picture(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe prints its tables and the next command, and leaves a PNG and all raw figures."""
    code = probe(photo, tmp_path / "out")

    said = capsys.readouterr().out
    plain = written(tmp_path / "out")
    assert code == 0
    with Pillow.open(tmp_path / "out" / "probe.png") as picture:
        assert picture.size[0] > 1000
    assert "100 asked, 100 sent, 0 from the store, 0 unknown" in said
    assert "label flips 0 of 10 (0–28 %)" in said
    assert "recommended:" in said
    assert "\\n" not in said  # each line of a table is a line
    assert said.count("visible  ") == 5
    assert str(tmp_path / "out" / "probe.json") in said
    assert [score["score"] for score in plain["scores"]] == ["soft", "soft:form=log_odds"]
    assert len(plain["rows"]["visible"]) == len(plain["scores"][0]["values"]) == len(Design.of(100).condition_of)
    assert len(plain["scores"][0]["clean"]) == 10
    assert plain["scores"][0]["reliability"].keys() == {"value", "low", "high", "n"}
    assert plain["clean"]["flips"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(0.278, abs=0.001), "n": 10}
    assert plain["status"] == "complete"


def test_tables_are_printed_a_row_a_line(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is read line by line, its columns aligned under their names."""
    probe(photo, tmp_path / "out")

    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if line.startswith("images "))
    row = next(line for line in lines if line.startswith("50% visible "))
    assert header.endswith("  reliability")
    assert len(header) == len(row)
    assert not any("\\n" in line for line in lines)


def test_the_next_command_runs_as_it_stands(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed can be typed, finds the answers of the probe, and is in the record."""
    probe(photo, tmp_path / "out", "--seed", "3", "--target", "left")
    command = following(capsys.readouterr().out)

    code = main([*command[1:], "--out", str(tmp_path / "map")])

    run = json.loads((tmp_path / "map" / "run.json").read_text(encoding="utf-8"))
    assert code == 0
    assert command[:2] == ["bbquery", "explain"]
    assert command[command.index("--score") + 1] == written(tmp_path / "out")["recommended"]["score"]
    assert command == written(tmp_path / "out")["recommended"]["command"]
    assert run["queries"]["from_store"] >= 11  # the photo and ten masks
    assert run["seed"] == 3


@pytest.mark.full_pictures
def test_a_second_probe_is_free_and_equal(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command again asks nothing, draws the same picture, and writes the same but for when and how it ran."""
    picture, of_this_run = tmp_path / "out" / "probe.png", {"finished", "seconds", "queries", "spent"}
    probe(photo, tmp_path / "out")
    before, drawn = written(tmp_path / "out"), picture.read_bytes()
    capsys.readouterr()

    probe(photo, tmp_path / "out")

    after = written(tmp_path / "out")
    assert "0 sent, 100 from the store" in capsys.readouterr().out
    assert picture.read_bytes() == drawn
    assert {key: after[key] for key in after.keys() - of_this_run} == {
        key: before[key] for key in before.keys() - of_this_run
    }


def test_the_cost_is_told(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a query really cost is said, and what the next run comes to."""
    probe(photo, tmp_path / "out", "--max-queries", "40", "--max-usd", "1", oracle=PAID)

    said = capsys.readouterr().out
    assert "$0.0015 a query, $0.06 in all" in said
    assert "the next run costs about $" in said
    assert written(tmp_path / "out")["cost"]["usd_a_query"] == "0.0015"


def test_the_mean_cost_of_a_query_has_as_many_digits_as_tell_something() -> None:
    """Tokens differ from answer to answer, so a mean would have twelve."""
    found = SimpleNamespace(budget=BudgetState(1, "probe", Cap(), Units(95, picodollars=6_914_400_000), Units()))

    assert probe_tables._cost(cast("Any", found)) == "$0.0000728 a query, $0.0069144 in all"


def test_a_dry_run_asks_nothing(photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the worst case, of as many queries as fit into the caps."""
    code = probe(photo, tmp_path / "out", "--dry-run", "--max-usd", "0.06", oracle=PAID)

    assert code == 0
    assert "40 at most" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-queries", "19"], "at least 20 queries"),
        (["--target", "up"], "unknown label 'up'"),
        (["--target", "left,,right"], "empty label"),
        (["--score", "nothing"], "unknown score 'nothing'"),
        (["--score", "mention"], "needs text"),
        (["--oracle", "nobody"], "unknown oracle"),
        (["--project", "nobody"], "nobody"),
        (["--max-usd", "much"], "not an amount"),
    ],
)
def test_bad_usage_is_explained_and_costs_nothing(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Each mistake gives exit code 2 and one line that says what is wrong."""
    code = probe(photo, tmp_path / "out", *arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert said in err
    assert not (tmp_path / "out" / "probe.json").exists()


def test_a_model_that_names_one_thing_is_warned_of(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A score that never moves is told on standard error, with what to do, and drawn all the same."""
    oracle = "function:call=tests.support.models.always_a_cat,answers=labels,version=1"
    code = main(["probe", photo, "--oracle", oracle,
        "--score", "soft", "--max-queries", "20", "--out", str(tmp_path / "out")])  # fmt: skip

    said = capsys.readouterr()
    assert code == 0
    assert "BEWARE: the score soft of 'tabby cat' hardly moves" in said.err
    assert "next: do not spend more here" in said.out
    assert written(tmp_path / "out")["scores"][0]["reliability"]["value"] is None


@pytest.mark.full_pictures
def test_a_model_that_refuses_is_drawn(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refusals of masked images are counted on the screen, in the record and in the picture."""
    code = main(["probe", photo, "--oracle", "function:call=tests.support.models.shy,classes=a|b,version=1",
        "--score", "soft", "--target", "a,b", "--out", str(tmp_path / "out")])  # fmt: skip

    said = capsys.readouterr()
    assert code == 0
    assert "got no answer (14 refused)" in said.err
    assert written(tmp_path / "out")["conditions"][4]["refused"]["value"] == 1
    with Pillow.open(tmp_path / "out" / "probe.png") as picture:
        assert picture.size[1] > 1000  # a row of panels for each target


def test_a_used_up_project_leaves_partial_figures(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, what was answered is worked out, and the same command again is offered."""
    main(["budget", "set", "audit", "--max-queries", "50"])
    code = probe(photo, tmp_path / "out", "--project", "audit", "--yes", oracle=PAID)

    said = capsys.readouterr()
    assert code == 4
    assert "PARTIAL: budget 'audit' has 0 of 50 queries left" in said.err
    assert written(tmp_path / "out")["status"] == "partial"
    assert "--project audit" in shlex.join(following(said.out))


def test_a_real_model_is_probed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """EfficientNet on the cat: without noise, answers at every visibility, moving scores, all within a minute."""
    code = main(["probe", "sample:cat", "--max-queries", "60", "--score", "soft", "--score", "soft:form=margin",
        "--out", str(tmp_path / "out")])  # fmt: skip

    plain = written(tmp_path / "out")
    assert code == 0
    assert "label flips 0 of" in capsys.readouterr().out
    assert all(condition["refused"]["value"] == 0 for condition in plain["conditions"])
    assert all(score["noise"]["value"] == 0 and score["reliability"]["value"] == 1 for score in plain["scores"])
    assert all(score["use"]["distinct"] > 20 for score in plain["scores"])
    assert plain["warnings"] == []
    cli._parser().parse_args(plain["recommended"]["command"][1:])


async def test_it_probes_a_server(photo: str, tmp_path: Path) -> None:
    """From the command line through HTTP to a server that is sometimes too busy: it bills what is asked, no more."""
    oracle = function.connect(models.sides, classes=["left", "right"], version="1")
    emulator = HttpEmulator(oracle, Faults(rate_limited=0.05, retry_after=0.01))
    async with emulator.running() as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bbquery", "probe", photo, "--oracle", f"http:url={url}", "--score", "soft",
            "--max-queries", "50", "--spare", "0", "--out", str(tmp_path / "out"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    assert b"50 asked" in out
    assert emulator.bill.images_answered == 50
    assert written(tmp_path / "out")["budget"]["posted"]["queries"] == 50
