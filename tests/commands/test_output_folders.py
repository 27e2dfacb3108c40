"""Where results are written: named after what decides them, never over another run's, by one process at a time.

One that was answered and cannot be written goes elsewhere, or a command is printed that writes it for free.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.commands.output_folder import default_name
from bbquery.errors import UsageError
from bbquery.report.claim import MARK, claimed
from tests.support import models
from tests.support.drawing import blank_png
from tests.support.runs import visible

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
LABELS = "function:call=tests.support.models.half_labels,answers=labels,version=1"
VERBS = {
    "explain": ["explain", "photo.png", "--oracle", SIDES, "--max-queries", "20", "--method", "rise"],
    "many": ["explain", "photo.png", "other.png", "--oracle", SIDES, "--max-queries", "10", "--method", "rise"],
    "compare": ["compare", "photo.png", "--methods", "rise,occlusion", "--oracle", SIDES, "--max-queries", "20"],
    "evaluate": ["evaluate", "map.npy", "photo.png", "--oracle", SIDES, "--steps", "4"],
    "probe": ["probe", "photo.png", "--oracle", SIDES, "--max-queries", "60"],
    "attack": ["attack", "photo.png", "--oracle", SIDES, "--max-queries", "150", "--yes"],
}
verbs = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two photos and a map, which is where commands are typed."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("photo", "other"):
        Pillow.fromarray(rng.integers(150, 256, (24, 32, 3), dtype=np.uint8)).save(f"{name}.png")
    np.save("map.npy", rng.normal(size=(24, 32)))
    return tmp_path


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of a run's time, and do not matter here."""
    for drawn in ("map_picture.overlay_png", "folder.interval_png", "evaluation.curves_png", "comparison.sheet_png"):
        monkeypatch.setattr(f"bbquery.report.{drawn}", lambda *_, **__: blank_png())
    monkeypatch.setattr("bbquery.report.probe.picture", lambda _: blank_png())
    monkeypatch.setattr("bbquery.report.attack._pictures", lambda _: {"adversarial.png": b"picture"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of the oracle took."""
    calls: list[int] = []
    sides = models.sides

    def counted(image: np.ndarray) -> list[float]:
        calls.append(1)
        return sides(image)

    monkeypatch.setattr(models, "sides", counted)
    return calls


def another_run(folder: Path) -> None:
    """Make a folder of an explanation of something else."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"run": "another"}')
    (folder / "cat.npy").write_bytes(b"a map")


@verbs
def test_every_run_has_a_folder_and_takes_it_again(verb: str, here: Path) -> None:
    """A second identical run takes its folder again; another seed gives another folder, whatever the command."""
    for seed in ("0", "0", "1"):
        assert main([*VERBS[verb], "--seed", seed]) == 0

    assert len(list((here / "bbquery-out").iterdir())) == 2


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("explain", ["--target", "right"]),
        ("explain", ["--score", "soft:form=margin"]),
        ("explain", ["--method", "occlusion"]),
        ("many", ["--target", "right"]),
        ("evaluate", ["--target", "right"]),
        ("evaluate", ["--score", "soft:form=margin"]),
        ("evaluate", ["--metrics", "aopc"]),
        ("probe", ["--target", "right"]),
        ("probe", ["--score", "soft:form=margin"]),
        ("attack", ["--target", "right"]),
        ("attack", ["--rmse", ".1"]),
    ],
)
def test_what_decides_the_result_decides_the_folder(verb: str, more: list[str], here: Path) -> None:
    """Other targets, scores, metrics and distances lie apart, even where the questions are the same."""
    main(VERBS[verb])
    main([*VERBS[verb], *more])

    assert len(list((here / "bbquery-out").iterdir())) == 2


@verbs
def test_a_folder_of_another_run_is_refused_before_anything_is_asked(
    verb: str, here: Path, asked: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of another run are not written over: exit code 2, nothing asked, and what to do."""
    another_run(here / "mine")
    before = {path.name: path.read_bytes() for path in (here / "mine").iterdir()}

    code = main([*VERBS[verb], "--out", "mine"])

    assert code == 2
    assert asked == []
    said = capsys.readouterr().err
    assert "mine holds files of something else" in said
    assert "--force" in said
    assert "--out" in said
    assert {path.name: path.read_bytes() for path in (here / "mine").iterdir()} == before


@verbs
def test_force_takes_the_folder_all_the_same(verb: str, here: Path) -> None:
    """With --force the new run writes there, and the folder is its own from then on."""
    another_run(here / "mine")

    assert main([*VERBS[verb], "--out", "mine", "--force"]) == 0
    assert main([*VERBS[verb], "--out", "mine"]) == 0


def test_a_photo_is_not_written_over_by_its_own_map(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--out . in the folder of left.png would make left.png the picture of the map: it is refused."""
    (here / "photo.png").rename(here / "left.png")
    before = (here / "left.png").read_bytes()

    code = main(["explain", "left.png", "--oracle", SIDES, "--target", "left", "--max-queries", "10", "--out", "."])

    assert code == 2
    assert "left.png" in capsys.readouterr().err
    assert (here / "left.png").read_bytes() == before


def test_a_folder_of_photos_is_not_taken_for_their_results(
    here: Path, asked: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """An image's own folder that holds files of another run is refused, though the one above is empty."""
    another_run(here / "series" / "other")

    code = main([*VERBS["many"], "--out", "series"])

    assert code == 2
    assert "series/other holds files of something else" in capsys.readouterr().err
    assert asked == []


def test_a_folder_of_an_earlier_version_is_known_by_its_record(here: Path) -> None:
    """A run whose folder was written before folders were marked can be completed there."""
    main([*VERBS["explain"], "--out", "mine"])
    (here / "mine" / MARK).unlink()

    assert main([*VERBS["explain"], "--out", "mine"]) == 0


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"run": {}}', b"[" * 100_000, b"\xff"])
def test_a_record_that_says_nothing_keeps_its_folder(here: Path, content: bytes) -> None:
    """A file that is no record is no reason to overwrite it, and no traceback."""
    (here / "mine").mkdir()
    (here / "mine" / "run.json").write_bytes(content)

    assert main([*VERBS["explain"], "--out", "mine"]) == 2


@verbs
def test_a_folder_that_another_process_writes_in_is_refused(
    verb: str, here: Path, asked: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two processes on one folder one goes on and the other says so, before it asks anything."""
    with claimed(here / "mine", "any"):
        code = main([*VERBS[verb], "--out", "mine"])

    assert code == 2
    assert "another process is writing in mine" in capsys.readouterr().err
    assert asked == []


@verbs
def test_a_run_that_asked_nothing_leaves_no_folder(verb: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the first question is answered, no folder is left behind."""

    def fail(_: np.ndarray) -> np.ndarray:
        raise ValueError("broken")

    monkeypatch.setattr(models, "sides", fail)

    code = main([*VERBS[verb], "--out", "deep/er/mine"])

    assert code == 3
    assert not (here / "deep").exists() or verb in {"many", "compare"}  # whose page or sheet says what failed


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    """An empty folder that somebody made is left as it was."""
    (tmp_path / "mine").mkdir()

    with claimed(tmp_path / "mine", "any"):
        pass

    assert list((tmp_path / "mine").iterdir()) == []


def test_a_killed_run_takes_its_folder_again(tmp_path: Path) -> None:
    """Files without a record, as a power cut leaves them, belong to the run that was writing them, and to no other."""
    with claimed(tmp_path / "mine", "this"):
        (tmp_path / "mine" / "cat.npy").write_bytes(b"half")

    with claimed(tmp_path / "mine", "this"):
        pass
    with pytest.raises(UsageError, match=r"cat\.npy"), claimed(tmp_path / "mine", "that"):
        pass


@pytest.mark.parametrize(
    ("image", "what", "name"),
    [
        ("photos/my cat.jpg", ["efficientnet", "rise"], "my cat-efficientnet-rise-01234567"),
        ("sample:cat", ["openai:model=gpt-4o", "rise:cells=4", "text"], "cat-openai-rise-text-01234567"),
        ("x.png", ["mine.oracle:connect", "mine.maps:Mine"], "x-mine.oracle.connect-mine.maps.Mine-01234567"),
        ("", ["http"], "image-http-01234567"),
        ("a\nb.png", ["http"], "a_b-http-01234567"),
        ("ü" * 120 + ".png", ["http"], "ü" * 50 + "-http-01234567"),
    ],
)
def test_a_folder_is_named_after_what_decides_the_result(image: str, what: list[str], name: str) -> None:
    """The image, then oracle, method and score by name, then how the run begins; whatever the file system takes."""
    assert default_name(image, "0123456789abcdef", *what) == name


# --- results that cannot be written ---

RECORDS = {
    "explain": "run.json",
    "many": "index.html",
    "compare": "compare.json",
    "evaluate": "evaluation.json",
    "probe": "probe.json",
    "attack": "attack.json",
}


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Disks that are full, given by a folder on each: what is written there cannot be kept."""
    disks: list[Path] = []
    fsync = os.fsync

    def kept(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        if any(place.is_relative_to(disk) for disk in disks):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", kept)
    return disks


@verbs
def test_where_the_folder_is_full_the_result_goes_elsewhere(
    verb: str, here: Path, full: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs no result: it lies in a temporary folder, which is told, and the exit code is 6."""
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    full.append(here / "mine")

    code = main([*VERBS[verb], "--out", "mine"])

    said = capsys.readouterr()
    (elsewhere,) = here.glob("bbquery-mine-*")
    assert code == 6
    assert RECORDS[verb] in visible(elsewhere)
    assert "No space left on device" in said.err
    assert f"the result is in {elsewhere} instead" in said.err
    assert str(elsewhere / RECORDS[verb]) in said.out


@verbs
def test_the_printed_command_writes_the_result_for_free(
    verb: str, here: Path, full: list[Path], asked: list[int], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where nothing can be written, what is printed writes the result once there is room; the second photo is new."""
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    full.append(here)
    assert main([*VERBS[verb], "--out", "mine"]) == 6
    printed = capsys.readouterr().err.splitlines()[-1]
    assert asked
    full.clear()
    asked.clear()

    code = main(shlex.split(printed)[1:])

    assert code == 0
    assert len(asked) == (5 if verb == "many" else 0)
    assert RECORDS[verb] in visible(here / "mine")
    assert not list(here.glob("bbquery-*"))


def test_a_partial_result_that_cannot_be_written_has_exit_code_6(
    here: Path, full: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the oracle failed is in the record; that it lies elsewhere is what a script must know first."""
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    full.append(here / "mine")
    sides, calls = models.sides, iter(range(100))

    def fails_later(image: object) -> list[float]:
        if next(calls) > 10:
            raise ValueError("broken")
        return sides(image)  # type: ignore[arg-type] # as it is given

    monkeypatch.setattr(models, "sides", fails_later)

    assert main([*VERBS["explain"], "--out", "mine"]) == 6

    (elsewhere,) = here.glob("bbquery-mine-*")
    assert json.loads((elsewhere / "run.json").read_text())["status"] == "partial"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "methods"],
        ["budget", "show"],
        ["budget", "show", "--json"],
        ["budget", "export"],
        ["store", "verify"],
        ["score", "Cat 0.9", "--target", "Cat"],
        ["explain", "photo.png", "--oracle", VERBS["explain"][3], "--max-queries", "5", "--dry-run"],
    ],
    ids=" ".join,
)
def test_full_standard_output_has_exit_code_6(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be printed is said in the last line of standard error, with an exit code of its own."""
    with Path("/dev/full").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        code = main(arguments)

    assert code == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "bbquery: standard output could not be written: No space left on device"
