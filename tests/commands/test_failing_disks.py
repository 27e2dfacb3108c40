"""Disks that fail under a command: a limit on the size of files, a folder that can only be read, a full disk.

Real ones, under a process of its own. Each failure says what failed, where, and what to do; nothing that was paid is
lost, so that the same command goes on where it stopped, once the disk is mended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from tests.support.images import saved, tiny_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGEST = 600 * 1024  # bytes of a file: a new ledger fits, and some answers
DISK = 100 * 1024  # bytes: two maps with their pages do not fit
DROP = 24  # PR_CAPBSET_DROP of prctl
READ_AND_WRITE_EVERYTHING = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, root's rights over others' files
MODEL = """\
def call(image):
    with open("calls", "a") as calls:
        calls.write(".")
    return {"left": float(image[:, :8].mean()) / 255, "right": float(image[:, 8:].mean()) / 255}
"""
PLAN = """\
name = "disk"
[photos]
from = ["p0.png", "p1.png"]
[[oracles]]
name = "own"
oracle = "function:call=model_on_a_disk.call,answers=labels,version=1"
target = "left"
[explain]
methods = ["rise"]
max_queries = 40
verify = 0
[caps]
max_queries = 200
"""
EXPLAIN = (
    "explain", "p0.png", "--oracle", "function:call=model_on_a_disk.call,answers=labels,version=1", "--target", "left",
    "--method", "rise", "--max-queries", "60", "--spare", "0", "--verify", "0",
)  # fmt: skip
AUDIT = ("audit", "plan.toml", "--out", "out/audit")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a model, photos and a plan, and with a ledger of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "model_on_a_disk.py").write_text(MODEL)
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "calls").touch()
    for place, image in enumerate(tiny_images(2, side=16)):
        saved(tmp_path / f"p{place}.png", image)
    return tmp_path


def run(*command: str, under: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that begins with a call; nobody measures the coverage of a failing disk."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "bbquery", *command],
        capture_output=True, text=True, check=False, preexec_fn=under, timeout=120, env=unmeasured,
    )  # fmt: skip


def calls(here: Path) -> int:
    """Return how often the model was asked."""
    return (here / "calls").stat().st_size


def answers(here: Path) -> int:
    """Return how many answers the ledger has, read without bbquery."""
    with contextlib.closing(sqlite3.connect(here / "home" / "bbquery.sqlite3")) as ledger:
        return int(ledger.execute("SELECT count(*) FROM answer").fetchone()[0])


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))


def as_anyone() -> None:
    """Give up root's right to write everywhere; nobody else has it."""
    for right in READ_AND_WRITE_EVERYTHING:
        ctypes.CDLL(None).prctl(DROP, right, 0, 0, 0)


@pytest.mark.parametrize(("command", "rows"), [(EXPLAIN, 60), (AUDIT, 80)])
def test_a_limit_on_the_size_of_files_is_named_and_what_was_answered_is_kept(
    here: Path, command: tuple[str, ...], rows: int
) -> None:
    """Exit code 1, no traceback, and what to do; without the limit only the rest is asked."""
    failed = run(*command, under=small_files)
    before, stored = calls(here), answers(here)
    again = main(command)

    assert failed.returncode == 1, failed.stderr
    assert "Traceback" not in failed.stderr
    assert f"the ledger {here / 'home' / 'bbquery.sqlite3'} cannot be used: disk I/O error" in failed.stderr
    assert "a file has reached the limit on the size of files: raise it (ulimit -f)" in failed.stderr
    assert again == 0
    assert 0 < stored <= before < rows
    assert calls(here) == before + rows - stored


def test_a_ledger_that_may_not_be_written_is_named_before_anything_is_asked(here: Path) -> None:
    """Exit code 1, and what to do about its permissions."""
    home = here / "home"
    home.mkdir()
    home.chmod(0o555)

    failed = run(*EXPLAIN, under=as_anyone)

    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert f"the ledger {home / 'bbquery.sqlite3'} cannot be used: [Errno 13] Permission denied" in failed.stderr
    assert "you may not write there: change its permissions or its owner" in failed.stderr
    assert calls(here) == 0


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """Yield a folder on a disk of its own with little room."""
    place = here / "out"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", place], capture_output=True, check=False
    ) if os.geteuid() == 0 else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("mounting a small disk needs root, with the right to mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_an_audit_whose_folder_is_full_is_written_for_free_once_there_is_room(
    here: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 6, the file, and the command; with more room it is whole, and no question is asked twice."""
    failed = main(AUDIT)
    said = capsys.readouterr().err
    before = calls(here)
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    again = main(AUDIT)

    assert failed == 6
    assert "(No space left on device): the disk is full: free some space, or choose another place" in said
    assert "this goes on with it and asks nothing twice:\n  bbquery audit plan.toml --out out/audit" in said
    assert again == 0
    assert calls(here) == 80 >= before
    assert (small_disk / "audit" / "report.html").exists()
