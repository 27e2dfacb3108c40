"""`bbquery explain IMAGE IMAGE …`: what a person types, reads and finds, and what a cap on each level stops."""

from __future__ import annotations

import asyncio
import gc
import html
import json
import os
import re
import shlex
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.commands import progress
from bbquery.commands.screen import Screen
from bbquery.images import reading
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from oracles import function
from oracles.emulators.http import HttpEmulator
from tests.support import models
from tests.support.counted import watched
from tests.support.runs import visible

if TYPE_CHECKING:
    from pathlib import Path


HERE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
PAID = f"{HERE},usd_per_query=0.0015,concurrency=1"
NAMES = ("cat", "dog", "owl")
METHOD = "designed:cells=4"  # the default with fewer cells, which takes a small part of its time


@pytest.fixture(autouse=True)
def fresh() -> None:
    watched.begin()


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print a line for each answer."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.png" for name in NAMES]
    for n, path in enumerate(paths):
        pixels = np.random.default_rng(n).integers(150, 256, (24, 32, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(path)
    return [str(path) for path in paths]


def explain(photos: list[str], out: Path, *more: str, oracle: str = PAID) -> int:
    plain = ("--method", METHOD, "--verify", "0", "--yes")
    return main(["explain", *photos, "--oracle", oracle, *plain, "--out", str(out), *more])


def record(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return loaded


def statuses(out: Path) -> dict[str, str]:
    return {folder.name: record(folder)["status"] for folder in out.iterdir() if folder.is_dir()}


def budgets(home: Path) -> list[Any]:
    with Ledger(home / "bbquery.sqlite3") as ledger:
        return [ledger.budget(n) for n in range(1, 1 + len(NAMES) + 1)]


@pytest.mark.full_pictures
@pytest.mark.usefixtures("every_line")
def test_each_image_has_a_folder_and_all_have_a_page(
    photos: list[str], tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Map, picture and record for each; a page on all; what each model sees, how it went, and which of how many."""
    code = explain(photos, tmp_path / "out", "--max-queries", "60", "--target", "left")

    said = capsys.readouterr()
    assert code == 0
    assert visible(tmp_path / "out") == {*NAMES, "index.html"}
    for name in NAMES:
        maps = {f"left{kind}" for kind in (".npy", ".png", "-error.npy", "-interval.png")}
        assert {path.name for path in (tmp_path / "out" / name).iterdir()} == {*maps, "run.json", "report.html"}
        assert record(tmp_path / "out" / name)["image"]["source"].endswith(f"{name}.png")
        assert f"{name}: complete; 20 asked, 20 sent, 0 from the store, 0 unknown" in said.out
    assert "image 2 of 3, dog: sides sees:" in said.out
    assert "image 3 of 3, owl: 100% " in said.err
    assert "image 2 of 3, dog:  35% " in said.err
    assert "21/60 queries, 21 sent, $0.0315 spent of about $0.09," in said.err
    assert "41/60 queries, 41 sent" in said.err
    assert "60/60 queries" in said.err
    assert said.out.splitlines()[-2:] == [
        "spent: 60 of 60 queries, $0.09; 0 answers from the store", str(tmp_path / "out" / "index.html"),
    ]  # fmt: skip
    assert (tmp_path / "out" / "index.html").read_text().count("./") == 9


def test_the_budgets_are_shown_as_a_tree(photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Project, run and images, each within the one before, in the order they were asked."""
    main(["budget", "set", "audit", "--max-usd", "1"])
    explain(photos, tmp_path / "out", "--max-queries", "60", "--project", "audit")
    capsys.readouterr()

    main(["budget", "show"])

    lines = [line for line in capsys.readouterr().out.splitlines() if "audit" in line]
    run = lines[1].split()[0]
    assert [line.split()[0] for line in lines] == ["audit", run, *(f"{run}/{name}" for name in NAMES)]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4, 4, 4]
    sent = [re.search(r"  (\d+)(?: of \d+)? +0\.", line) for line in lines]
    assert [found and found[1] for found in sent] == ["60", "60", "20", "20", "20"]


def test_the_same_command_again_costs_nothing(photos: list[str], tmp_path: Path, home: Path) -> None:
    """A second identical run asks nobody, posts nothing, and leaves the same maps."""
    arguments = ("--max-queries", "60", "--target", "left")
    explain(photos, tmp_path / "out", *arguments)
    maps, before = [(tmp_path / "out" / n / "left.npy").read_bytes() for n in NAMES], budgets(home)

    assert explain(photos, tmp_path / "out", *arguments) == 0

    assert watched.calls == 60
    assert budgets(home) == before
    assert [(tmp_path / "out" / n / "left.npy").read_bytes() for n in NAMES] == maps


@pytest.mark.usefixtures("every_line")
def test_the_images_cap_stops_the_image(photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two cents for each image buy 13 of 20 queries, for every one of the three, and the exit code is the budget's."""
    code = explain(photos, tmp_path / "out", "--max-queries-per-image", "20", "--max-usd-per-image", "0.02",
                   "--method", "rise:batch=5")  # fmt: skip

    said = capsys.readouterr().err
    assert code == 4
    assert statuses(tmp_path / "out") == dict.fromkeys(NAMES, "partial")
    assert watched.calls == 39
    assert all(f"bbquery: PARTIAL: {name}: budget " in said for name in NAMES)
    assert "of $0.02 left" in said
    assert "NOT BEGUN" not in said
    assert "14/53 queries" in said  # seven of the first image are asked by nobody


def test_the_page_of_a_photo_has_the_command_that_completes_it(photos: list[str], tmp_path: Path) -> None:
    """Of one that its own or the run's cap stopped, whatever those after it take; a whole one's page has none."""
    caps = ["--max-queries-per-image", "20", "--max-usd", "0.045", "--max-usd-per-image", "0.045"]
    assert explain(photos, tmp_path / "out", *caps) == 4
    pages = {name: html.unescape((tmp_path / "out" / name / "report.html").read_text()) for name in ("cat", "dog")}

    (command,) = re.findall(r"To complete it</h3>\n<pre><code>bbquery (.*)</code>", pages["dog"])

    assert "To complete it" not in pages["cat"]
    assert main(shlex.split(command)) == 0
    assert statuses(tmp_path / "out") == dict.fromkeys(NAMES, "complete")
    assert watched.calls == 60


def test_the_runs_cap_stops_the_run(photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty queries' worth for all: the first image is whole, the second partial, the third not begun, and named."""
    code = explain(photos, tmp_path / "out", "--max-queries-per-image", "20", "--max-usd", "0.045",
                   "--max-usd-per-image", "0.045")  # fmt: skip

    said = capsys.readouterr().err
    assert code == 4
    assert statuses(tmp_path / "out") == {"cat": "complete", "dog": "partial"}
    assert watched.calls == 30
    assert "bbquery: NOT BEGUN: owl: budget 'explain-" in said
    assert "not begun" in (tmp_path / "out" / "index.html").read_text()


def test_the_projects_cap_stops_the_run(photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A project of 30 queries stops a run that may ask 60; raised, the same command asks only for the rest."""
    main(["budget", "set", "audit", "--max-queries", "30"])
    first = explain(photos, tmp_path / "out", "--max-queries", "60", "--project", "audit")
    said, stopped = capsys.readouterr().err, statuses(tmp_path / "out")
    main(["budget", "set", "audit", "--max-queries", "100"])

    second = explain(photos, tmp_path / "out", "--max-queries", "60", "--project", "audit")

    assert (first, second) == (4, 0)
    assert "NOT BEGUN: owl: budget 'audit' has 0 of 30 queries left" in said
    assert stopped == {"cat": "complete", "dog": "partial"}
    assert statuses(tmp_path / "out") == dict.fromkeys(NAMES, "complete")
    assert watched.calls == 60


def interrupt_at(count: int) -> None:
    def act() -> None:
        if watched.calls == count:
            os.kill(os.getpid(), signal.SIGINT)

    watched.before.append(act)


def test_ctrl_c_keeps_what_was_made_and_says_what_was_not(
    photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted in the second image: exit code 130, a partial map, the third named; again asks only for the rest."""
    interrupt_at(30)
    first = explain(photos, tmp_path / "out", "--max-queries", "60")
    said, stopped, sent = capsys.readouterr().err, statuses(tmp_path / "out"), watched.calls

    second = explain(photos, tmp_path / "out", "--max-queries", "60")

    assert (first, second) == (130, 0)
    assert stopped == {"cat": "complete", "dog": "partial"}
    assert "bbquery: PARTIAL: dog: interrupted by Ctrl-C" in said
    assert "bbquery: NOT BEGUN: owl: interrupted by Ctrl-C" in said
    assert "this completes the run, and asks only for the rest" in said
    assert 30 <= sent < 60
    assert watched.calls == 60
    assert statuses(tmp_path / "out") == dict.fromkeys(NAMES, "complete")


def test_what_ended_the_run_decides_the_exit_code(photos: list[str], tmp_path: Path) -> None:
    """An image at its own cap, then Ctrl-C: the code is that of Ctrl-C, for it is why images are missing."""
    interrupt_at(20)

    code = explain(photos, tmp_path / "out", "--max-queries-per-image", "20", "--max-usd-per-image", "0.02")

    assert code == 130
    assert statuses(tmp_path / "out") == {"cat": "partial", "dog": "partial"}


def test_a_second_ctrl_c_does_not_wait(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in flight is abandoned: it may have been billed, so it stays held and is named with its image."""
    heard, interrupt = threading.Semaphore(0), Screen._interrupt

    def hear(screen: Screen, *signals: Any) -> None:
        interrupt(screen, *signals)
        heard.release()

    def twice() -> None:
        for _ in range(2 if watched.calls == 30 else 0):
            os.kill(os.getpid(), signal.SIGINT)
            assert heard.acquire(timeout=20)

    monkeypatch.setattr(Screen, "_interrupt", hear)
    watched.before.append(twice)

    code = explain(photos, tmp_path / "out", "--max-queries", "60")

    said = capsys.readouterr().err
    (unknown,) = record(tmp_path / "out" / "dog")["unknown"]
    assert code == 130
    assert f"may have been billed, so it stays held: attempt {unknown['attempt']} of " in said
    assert said.count("stopping: waiting for what is in flight") == 1
    assert watched.calls == 30


def test_ctrl_c_between_two_images_is_heard(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the first image is drawn nothing is in flight: the second is not asked about at all."""
    from bbquery.report import folder

    write = folder.write

    def interrupted(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments, **options)

    monkeypatch.setattr(folder, "write", interrupted)

    code = explain(photos, tmp_path / "out", "--max-queries", "60")

    assert code == 130
    assert statuses(tmp_path / "out") == {"cat": "complete"}
    assert watched.calls == 20
    assert "NOT BEGUN: dog, owl: interrupted by Ctrl-C" in capsys.readouterr().err


def test_a_damaged_image_is_found_before_any_is_asked(
    photos: list[str], tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third of three is no picture: exit code 2, its name, and no query, no ledger, no folder."""
    (tmp_path / "owl.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")

    code = explain(photos, tmp_path / "out", "--max-queries", "60")

    assert code == 2
    assert "owl.png" in capsys.readouterr().err
    assert watched.calls == 0
    assert not (home / "bbquery.sqlite3").exists()
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_get_folders_of_their_own(photos: list[str], tmp_path: Path) -> None:
    """The second "cat" is "cat~2", in its folder and its budget."""
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "cat.png"
    Pillow.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(other)

    explain([photos[0], str(other)], tmp_path / "out", "--max-queries", "20")

    assert record(tmp_path / "out" / "cat")["image"]["source"] == photos[0]
    assert record(tmp_path / "out" / "cat~2")["image"]["source"] == str(other)
    assert record(tmp_path / "out" / "cat~2")["budget"]["name"].endswith("/cat~2")


def test_without_out_the_folder_is_named_after_the_run(
    photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default folder says how many images, which oracle, method and run, so that others do not overwrite it."""
    monkeypatch.chdir(tmp_path)

    main(["explain", *photos, "--oracle", HERE, "--max-queries", "15"])

    (page,) = (tmp_path / "bbquery-out").glob("*/index.html")
    stem, run = page.parent.name.rsplit("-", 1)
    assert stem == "3-images-function-designed"
    assert record(page.parent / "dog")["budget"]["name"].startswith(f"explain-{run}")


def test_a_file_in_the_way_is_found_first(
    photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where an image's folder should be is found before anything is asked."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dog").write_text("in the way")

    code = explain(photos, tmp_path / "out", "--max-queries", "60")

    assert code == 2
    assert "dog: it is a file, not a folder" in capsys.readouterr().err
    assert watched.calls == 0


def test_a_dry_run_shows_each_image_and_the_sum(
    photos: list[str], tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queries and dollars for each image and for all, and nothing is asked or written."""
    code = explain(photos, tmp_path / "out", "--max-queries", "120", "--dry-run")

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split() for line in lines[1:5]] == [
        *([name, "40", "0", "0", "0.06", "0.06"] for name in NAMES),
        ["all", "3", "120", "0", "0", "0.18", "0.18"],
    ]
    assert lines[-1] == "nothing was asked"
    assert watched.calls == 0
    assert not (tmp_path / "out").exists()
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize(
    ("oracle", "said"),
    [(HERE, "no limits are known"), ("openai:model=gpt-4o-mini,requests_per_minute=60", "at least 64 seconds")],
)
def test_a_dry_run_adds_up_the_time(
    photos: list[str], capsys: pytest.CaptureFixture[str], oracle: str, said: str
) -> None:
    """At 60 requests a minute, of which 0.94 are used, three times 20 queries take 64 seconds."""
    arguments = ("--oracle", oracle, "--target", "left", "--max-queries", "60", "--dry-run")

    assert main(["explain", *photos, *arguments]) == 0
    assert said in capsys.readouterr().out


def test_one_image_is_a_run_of_its_own(photos: list[str], tmp_path: Path, home: Path) -> None:
    """One image has one budget, named as ever, whichever of the two caps is given; its folder holds it directly."""
    codes = [
        explain(photos[:1], tmp_path / "out", option, "20") for option in ("--max-queries", "--max-queries-per-image")
    ]

    written = record(tmp_path / "out")
    with Ledger(home / "bbquery.sqlite3") as ledger:
        state = ledger.budget(1)
    assert codes == [0, 0]
    assert written["budget"]["name"] == f"explain-{written['run']}" == state.name
    assert state.cap == Cap(queries=20)
    assert watched.calls == 20
    assert not (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-queries", "2"], "shared by 3 images"),
        (["--max-queries", "0"], "allows nothing"),
        (["--max-usd-per-image", "much"], "not an amount"),
        (["--max-tokens", "5", "--max-tokens-per-image", "6"], "raise the one or lower the other"),
        (["--target", "left,,right"], "empty label"),
        (["--target", "up"], "known: left, right"),
        (["--project", "nobody"], "bbquery budget set nobody"),
        (["--method", "rise:queries=30", "--max-queries", "60"], "allowed for each of 3 images"),
    ],
)
def test_bad_usage_is_explained_and_costs_nothing(
    photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Each mistake gives exit code 2, one line that says what to do, and no query."""
    code = explain(photos, tmp_path / "out", *arguments)

    assert code == 2
    assert said in capsys.readouterr().err
    assert watched.calls == 0


def test_an_oracle_that_fails_stops_the_run_with_its_exit_code(
    photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that breaks at the first image is asked once; all images are named, and the page is there."""
    oracle = "function:call=tests.support.models.raises,classes=left|right"
    code = explain(photos, tmp_path / "out", "--max-queries", "60", oracle=oracle)

    assert code == 3
    assert "NOT BEGUN: cat, dog, owl: raises: " in capsys.readouterr().err
    assert visible(tmp_path / "out") == {"index.html"}


def test_a_file_whose_name_is_no_text_is_explained(photos: list[str], tmp_path: Path) -> None:
    """A name in an unknown encoding is written as an escape, in the record and on the page."""
    odd = os.fsencode(photos[0]).replace(b"cat", b"caf\xe9")
    os.rename(os.fsencode(photos[0]), odd)  # noqa: PTH104 - of bytes

    code = explain([os.fsdecode(odd), photos[1]], tmp_path / "out", "--max-queries", "20")

    assert code == 0
    assert record(tmp_path / "out" / "caf_")["image"]["source"].endswith("caf\udce9.png")


def test_the_log_is_of_all_images(photos: list[str], tmp_path: Path) -> None:
    """`--log` appends the records of the whole run."""
    explain(photos, tmp_path / "out", "--max-queries", "60", "--max-usd", "0.03", "--log", str(tmp_path / "log"))

    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sum("BudgetExhausted" in str(event) for event in events) == 3


async def test_a_remote_model_is_watched_for_drift_with_each_image(photos: list[str], tmp_path: Path) -> None:
    """Over HTTP, within each image's share: the unperturbed image again, and the page says that nothing moved."""
    oracle = function.connect(models.sides, classes="left|right", version="1", concurrency=4, price=Price())
    async with HttpEmulator(oracle).running() as url:
        code = await asyncio.to_thread(
            explain, photos, tmp_path / "out", "--max-queries", "90", oracle=f"http:url={url}"
        )
    await oracle.aclose()

    checks = [record(tmp_path / "out" / name)["drift"]["checks"] for name in NAMES]
    assert code == 0
    assert [len(each) for each in checks] == [4, 4, 4]
    assert (tmp_path / "out" / "index.html").read_text().count('data-key="no">no</td>') == 3


@pytest.mark.full_pictures
def test_one_photo_at_a_time_is_held(photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an image is decoded, none that was decoded before is held, its map and picture being written."""
    load, held = reading.load, []
    decoded: list[weakref.ref[Any]] = []

    def counting(source: Any) -> Any:
        gc.collect()
        held.append(sum(reference() is not None for reference in decoded))
        photo = load(source)
        decoded.append(weakref.ref(photo))
        return photo

    monkeypatch.setattr(reading, "load", counting)
    explain(photos, tmp_path / "out", "--max-queries-per-image", "20", "--max-usd-per-image", "0.02")

    assert held == [0] * 6
