"""`bbquery attack` of several photos and attacks: what a person types, reads and finds, and what survives a Ctrl-C."""

from __future__ import annotations

import asyncio
import csv
import html
import json
import os
import re
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.commands.photos import expanded, labels_of
from bbquery.errors import UsageError
from oracles.emulators.http import HttpEmulator
from tests.support.oracles import halves_oracle
from tests.support.runs import Terminal, visible

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MODEL = "function:call=tests.support.models.brighter_half,answers=labels,version=1"
ATTACKS = "lr_mifgsm:cells=4,lr_mifgsm:cells=2,norm=linf"
OF_ALL = {"attacks.json", "index.html", "distance.png", "table.csv", "table.md"}
OF_EACH = {"adversarial.png", "attack.json", "attack.png", "clean.png", "difference.png", "report.html"}
NAMES = ("cat", "dog")
TO_COMPLETE = re.compile(r"To complete it</h3>\n<pre><code>(.*)</code>")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two photos, and files that are none."""
    place = tmp_path / "photos"
    place.mkdir()
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(95, 106, (16, 20, 3)).astype(np.uint8)
        pixels[:, :10] += np.uint8(8 + 6 * seed)
        Pillow.fromarray(pixels).save(place / f"{name}.png")
    (place / "notes.txt").write_text("of a person")
    (place / ".hidden").write_text("of a program")
    return place


def attack(*photos: object, out: Path, cap: int = 160, oracle: str = MODEL, attacks: str = ATTACKS) -> list[str]:
    each = ("--max-queries-per-attack", str(cap)) if cap else ()
    return ["attack", *map(str, photos), "--oracle", oracle, "--attack", attacks, *each, "--out", str(out)]


def record(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "attacks.json").read_text())
    return loaded


@pytest.mark.full_pictures
def test_a_folder_of_photos_is_attacked_by_all_attacks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each attack on each photo has a folder; tables, a figure and a record are of all; other files are left out."""
    out = tmp_path / "out"

    assert main([*attack(folder, out=out), "--controls", "gaussian", "--rmse", ".05,.02", "--linf", ".1", "--yes"]) == 0

    said, written = capsys.readouterr(), record(out)
    assert visible(out) == {*NAMES, *OF_ALL}
    assert visible(out / "cat") == {"lr_mifgsm", "lr_mifgsm~2", "control-gaussian"}
    assert visible(out / "dog" / "lr_mifgsm~2") == OF_EACH
    assert (written["verb"], written["status"], written["image"]) == ("attack", "complete", None)
    assert [row["given"] for row in written["attacks"]] == [
        "lr_mifgsm:cells=4", "lr_mifgsm:cells=2,norm=linf", "control gaussian",
    ]  # fmt: skip
    assert [row["images"] for row in written["attacks"]] == [2, 2, 2]
    assert written["attacks"][0]["success"]["0.05"]["value"] == 1.0
    assert len(written["results"]) == 6
    assert written["budget"]["cap"]["queries"] == 2 * (2 + 2) * 160
    assert "notes.txt" in said.err
    assert ".hidden" not in said.err
    assert "Too few photos to tell these apart, since at least 6 photos are needed" in said.out
    assert "but 'golden retriever' (5 of 5) at RMSE" in said.out
    assert written["results"][0]["labels"] == {"golden retriever": 5}
    assert "| cat | lr_mifgsm:cells=4 | adversarial |" in (out / "table.md").read_text()
    assert (out / "table.md").read_text().startswith("| attack | photos | ≤ 0.05 | ≤ 0.02 | L∞ ≤ 0.1 | median RMSE |")
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [row["control"] for row in rows] == ["False", "False", "True"]


def test_the_same_command_again_asks_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run writes the same and says that nothing was sent."""
    out = tmp_path / "out"
    assert main([*attack(folder, out=out), "--yes"]) == 0
    first = record(out)

    assert main([*attack(folder, out=out), "--yes"]) == 0

    again = record(out)
    assert again["queries"]["sent"] == 0
    assert again["results"] == first["results"]
    assert "nothing sent now" in capsys.readouterr().out


def test_each_outcome_is_told_by_the_goal(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class that one photo has already, and that the other comes to, is named in what is said of each."""
    with Pillow.open(folder / "dog.png") as dog:
        dog.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT).save(folder / "dog.png")
    typed = attack(folder, out=tmp_path / "out")

    assert main([*typed, "--attack", "hsja", "--target-class", "tabby cat", "--yes"]) == 0

    said = capsys.readouterr().out
    assert "cat/hsja: not attacked: the oracle says 'tabby cat' of the clean image already" in said
    assert "dog/hsja: too far: 'tabby cat' in place of 'golden retriever' at RMSE" in said


def test_labels_come_from_a_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A photo that the model gives another label is reported, and is in no share."""
    table = folder / "labels.csv"
    table.write_text("path,label\ncat.png,tabby cat\ndog.png,golden retriever\nowl.png,owl\n")

    assert main([*attack(folder, out=tmp_path / "out"), "--labels", str(table), "--yes"]) == 0

    (said, left_out), written = capsys.readouterr(), record(tmp_path / "out")
    assert "notes.txt" in left_out
    assert "labels.csv" not in left_out
    assert [image["label"] for image in written["images"]] == ["tabby cat", "golden retriever"]
    assert [(row["images"], row["not_attacked"]) for row in written["attacks"]] == [(1, 1), (1, 1)]
    assert "1 photo not attacked" in said
    assert "not attacked" in said


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("\n", 2)])
def test_the_worst_case_of_all_is_agreed_to(
    folder: Path,
    tmp_path: Path,
    typed: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is asked, the queries and dollars of each attack, its controls and all together are shown."""
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    paid = f"{MODEL},usd_per_query=0.01"

    assert main([*attack(folder, out=tmp_path / "out", oracle=paid), "--controls", "blur", "--rmse", ".02,.01"]) == code

    said = capsys.readouterr().out
    assert "1,280 at most" in said  # 2 photos, each 2 attacks and a control at 2 distances, of 160 each
    assert "$12.80 at worst" in said
    assert "control blur" in said
    assert "authorised" in said
    assert (tmp_path / "out").exists() == (code == 0)


def test_a_dry_run_shows_the_worst_case(
    folder: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked, agreed to or written."""
    assert main([*attack(folder, out=tmp_path / "out", cap=0), "--max-queries", "1000", "--dry-run"]) == 0

    said = capsys.readouterr().out
    assert "1,000 at most" in said
    assert "250" in said
    assert "nothing was asked" in said
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--controls", "pink"], "unknown kind of control 'pink'"),
        (["--labels", "no-such.csv"], "no-such.csv"),
        (["--target", "cat", "--labels", "labels.csv"], "give one of them"),
        (["--max-queries", "100"], "each attack may take 160 queries (--max-queries-per-attack)"),
        (["--attack", "lr_mifgsm,lr_mifgsm"], "given twice"),
        (["--attack", "hsja,no_such"], "bbquery: unknown attack 'no_such'"),
        (["--attack", "hsja", "--max-queries-per-attack", "7"], "hsja on cat, with 7 queries of its own: of 7 queries"),
    ],
)
def test_impossible_wishes_are_usage_errors(
    folder: Path, home: Path, tmp_path: Path, change: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be is said before a query, with exit code 2; nothing is written."""
    assert main([*attack(folder, out=tmp_path / "out"), "--yes", *change]) == 2

    assert said in capsys.readouterr().err
    assert not (home / "bbquery.sqlite3").exists()
    assert not (tmp_path / "out").exists()


def test_a_photo_that_is_not_there_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong path among good ones stops the run before anything is paid."""
    assert main([*attack(folder, "no-such.png", out=tmp_path / "out"), "--yes"]) == 2

    assert "no-such.png" in capsys.readouterr().err


def test_a_damaged_photo_is_refused_before_anything_is_paid(
    folder: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad file among many stops the run while it is free, and is named."""
    (folder / "owl.jpg").write_bytes(b"no picture")

    assert main([*attack(folder, out=tmp_path / "out"), "--yes"]) == 2

    assert "owl.jpg" in capsys.readouterr().err
    assert not (home / "bbquery.sqlite3").exists()


def test_one_photo_and_one_attack_are_as_before(folder: Path, tmp_path: Path) -> None:
    """A single attack has its files in the folder itself, and a run of its own name."""
    typed = attack(folder / "cat.png", out=tmp_path / "out", cap=0, attacks="lr_mifgsm:cells=4")

    assert main([*typed, "--max-queries", "160", "--yes"]) == 0

    assert visible(tmp_path / "out") == OF_EACH


def test_a_cap_that_is_reached_says_how_to_complete_the_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's cap ends it with exit code 4; the command that is printed asks for the rest alone."""
    out = tmp_path / "out"
    assert main([*attack(folder, out=out), "--max-queries", "300", "--yes"]) == 4

    said = capsys.readouterr().err
    assert "NOT BEGUN" in said
    command = said.splitlines()[-1].split()[1:]  # after the name of the program
    assert command[:2] == ["bbquery", "attack"]
    (raised,) = (int(command[n + 1]) for n, word in enumerate(command) if word == "--max-queries")
    assert record(out)["status"] == "partial"
    assert main([*attack(folder, out=out), "--max-queries", str(raised), "--yes"]) == 0
    assert record(out)["status"] == "complete"
    assert record(out)["queries"]["sent"] + 300 == record(out)["budget"]["posted"]["queries"]


def test_a_start_that_is_refused_is_not_advised_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no photo can begin at the start image, no command is printed that begins there once more."""
    typed = attack(folder, out=tmp_path / "out", attacks="hsja")

    assert main([*typed, "--target-class", "owl", "--start", str(folder / "cat.png"), "--yes"]) == 2

    said = capsys.readouterr().err
    assert "give another --start" in said
    assert "completes" not in said


async def test_ctrl_c_keeps_what_was_paid(folder: Path, tmp_path: Path) -> None:
    """Stopped in the middle, all attacks end in order, what was found is written, and the rerun pays only the rest."""
    oracle = halves_oracle("tabby", "golden retriever")
    async with HttpEmulator(oracle).running() as url:
        attacked = attack(folder, out=tmp_path / "out", oracle=f"http:url={url}", attacks="lr_mifgsm:cells=4")
        typed = [*attacked, "--drift-every", "0", "--yes"]
        first, said = await _ended(typed, tmp_path / "home", oracle, after=60)
        sent, stopped = oracle.billed, record(tmp_path / "out")
        pages = (tmp_path / "out").glob("*/*/report.html")
        commands = [found for page in pages for found in TO_COMPLETE.findall(html.unescape(page.read_text()))]
        again, _ = await _ended(typed, tmp_path / "home", oracle)

    whole = record(tmp_path / "out")
    assert (first, again) == (130, 0), said
    assert (stopped["status"], whole["status"]) == ("partial", "complete")
    assert "partial" in {each["status"] for each in stopped["results"]}
    assert shlex.split(said.splitlines()[-1])[2:] == typed, said  # nothing was lost, so the same command completes it
    assert all(shlex.split(command)[1:] == typed for command in commands), commands
    assert commands
    assert stopped["queries"]["sent"] == sent < oracle.billed
    assert whole["queries"]["sent"] == oracle.billed - sent
    assert whole["budget"]["posted"]["queries"] == oracle.billed


async def _ended(typed: list[str], home: Path, oracle: Any, after: int = 0) -> tuple[int, str]:
    """Run the command in a process of its own, interrupt it after so many answers; return its exit code and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bbquery", *typed,
        env=os.environ | {"BBQUERY_HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if after:
        oracle.when_billed(after, lambda: process.send_signal(signal.SIGINT))
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


# --- photos and labels ---


def test_folders_are_looked_into_once(folder: Path) -> None:
    """Photos of a folder come by name; folders in it, hidden files and others are none; samples stay as they are."""
    (folder / "inner").mkdir()

    photos, others = expanded(["sample:cat", str(folder), "x.dat"])

    assert photos == ["sample:cat", str(folder / "cat.png"), str(folder / "dog.png"), "x.dat"]
    assert others == [str(folder / "notes.txt")]


def test_a_folder_without_a_photo_is_refused(tmp_path: Path) -> None:
    """A folder of texts is a mistake, and says which endings are photos'."""
    (tmp_path / "notes.txt").write_text("text")

    with pytest.raises(UsageError, match=r"without a photo.*\.jpg"):
        expanded([str(tmp_path)])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("cat.png,tabby\n", "no label for .*dog.png"),
        ("cat.png,tabby\ncat.png,lynx\ndog.png,dog\n", "two labels"),
        ("cat.png,tabby\ndog.png\n", "line 2"),
        ("cat.png,\n", "no label for cat.png"),
    ],
)
def test_a_table_of_labels_that_does_not_fit_is_refused(folder: Path, table: str, said: str) -> None:
    """Each photo needs one label; what is wrong is named with its line or its photo."""
    (folder / "labels.csv").write_text(table)

    with pytest.raises(UsageError, match=said):
        labels_of([str(folder / "cat.png"), str(folder / "dog.png")], str(folder / "labels.csv"))


def test_labels_may_hold_commas_and_paths_are_as_from_the_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quoted label keeps its comma, and a photo is known however its path is written."""
    (folder / "labels.csv").write_text('cat.png,"tabby, tabby cat"\nsample:cat,cat\n', encoding="utf-8-sig")
    monkeypatch.chdir(folder.parent)

    assert labels_of(["photos/../photos/cat.png", "sample:cat"], "photos/labels.csv") == ["tabby, tabby cat", "cat"]
