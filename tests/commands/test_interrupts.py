"""Ctrl-C, SIGTERM and a closed terminal: every command that asks ends in order, and nothing paid is lost."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.ledger import reports
from bbquery.ledger.accounts import Accounts
from bbquery.report import attack, comparison, evaluation, files, folder, probe
from tests.support.counted import watched

ORACLE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
LABELS = "function:call=tests.support.counted.brighter_half,answers=labels,version=1"
METHOD = "designed:cells=4"  # the default with fewer cells, which takes a small part of its time
WRITERS = {"explain": folder, "compare": comparison, "evaluate": evaluation, "probe": probe, "attack": attack}
SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "a closed terminal"}


@pytest.fixture(autouse=True)
def fresh() -> None:
    watched.begin()


@pytest.fixture
def photo(tmp_path: Path) -> str:
    pixels = np.full((16, 20, 3), 100, np.uint8)
    pixels[:, :10] += 10
    path = tmp_path / "photo.png"
    Pillow.fromarray(pixels).save(path)
    return str(path)


def command(verb: str, photo: str) -> list[str]:
    """Return a command of a verb that asks some fifty queries."""
    few = ["--oracle", ORACLE, "--max-queries", "50"]
    out = ["--out", str(Path(photo).parent / verb)]
    match verb:
        case "explain":
            return ["explain", photo, *few, "--verify", "0", "--method", METHOD, *out]
        case "several":
            return ["explain", photo, photo, *few, "--method", METHOD, *out]
        case "compare":
            return ["compare", photo, "--methods", f"rise,{METHOD}", *few, *out]
        case "evaluate":
            explained = command("explain", photo)
            main(explained)
            return ["evaluate", explained[-1], photo, *few, "--metrics", "srg", "--steps", "10", *out]
        case "probe":
            return ["probe", photo, *few, "--max-queries", "100", *out]
        case _:
            few = ["--oracle", LABELS, "--max-queries", "200", "--attack", "lr_mifgsm:cells=4", "--yes"]
            return ["attack", photo, *few, *out]


VERBS = ("explain", "several", "compare", "evaluate", "probe", "attack")


@pytest.mark.parametrize(
    ("verb", "number"),
    [*((verb, signal.SIGTERM) for verb in VERBS), ("explain", signal.SIGINT), ("explain", signal.SIGHUP)],
)
def test_a_stop_while_asking_keeps_what_was_answered(
    verb: str, number: int, photo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever signal comes, in every command that asks: exit code 130, its name, and nothing is asked again."""
    typed = command(verb, photo)
    before = watched.calls
    watched.before.append(lambda: os.kill(os.getpid(), number) if watched.calls == before + 8 else None)
    capsys.readouterr()

    code = main(typed)

    asked, said = watched.calls, capsys.readouterr().err
    assert code == 130
    assert f"interrupted by {SIGNALS[number]}" in said
    assert "before anything was asked" not in said
    watched.before.clear()
    assert main(typed) == 0
    with Accounts() as accounts:
        paid = [attempt.key for attempt in accounts.read(lambda c: list(reports.attempts(c, None, "posted")))]
    assert len(set(paid)) == len(paid) == watched.calls > asked


@pytest.mark.parametrize("verb", WRITERS)
def test_a_stop_while_writing_lets_that_be_finished(
    verb: str, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results are written whole, and it is said what was sent and that the same command again pays for none of it."""
    typed = command(verb, photo)
    write = WRITERS[verb].write

    def stopped(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments, **options)

    before = watched.calls
    with monkeypatch.context() as patched:
        patched.setattr(WRITERS[verb], "write", stopped)
        code = main(typed)

    said, sent = capsys.readouterr().err, watched.calls - before
    assert code == 130
    assert f"while results were being written, which was finished; {sent} queries were sent" in said
    assert main(typed) == 0
    assert watched.calls == before + sent


def test_a_second_stop_while_writing_ends_it_and_says_what_is_kept(
    photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice: exit code 130 at once, no empty folder, and the same command again writes for nothing."""
    typed = command("explain", photo)
    write = folder.write

    def stopped(*arguments: Any, **options: Any) -> Any:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "write", stopped)
        code = main(typed)

    said, sent = capsys.readouterr().err, watched.calls
    assert code == 130
    assert f"interrupted by Ctrl-C while results were being written; {sent} queries were sent" in said
    assert "before anything was asked" not in said
    assert not Path(typed[-1]).exists()
    assert main(typed) == 0
    assert watched.calls == sent


def test_a_result_that_was_half_written_is_written_whole_by_the_same_command(
    photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped twice after its first file, a result is neither taken for whole nor for that of another run."""
    typed = command("explain", photo)
    write, written = files.write_bytes, list[Path]()

    def stopped(path: Path, data: bytes) -> None:
        written.append(path)
        for _ in range(2 if len(written) == 2 else 0):
            os.kill(os.getpid(), signal.SIGINT)
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "write_bytes", stopped)
        code = main(typed)

    assert code == 130
    assert "while results were being written" in capsys.readouterr().err
    assert not (Path(typed[-1]) / "run.json").exists()
    assert main(typed) == 0
    assert (Path(typed[-1]) / "run.json").is_file()
    assert watched.calls == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=SIGNALS.get)
def test_a_stop_before_anything_is_asked_leaves_nothing(
    number: int, photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a model is loaded, SIGTERM and a closed terminal end the command with 130 and one line, and no folder."""
    monkeypatch.chdir(tmp_path)
    model = f"import os\nos.kill(os.getpid(), {int(number)})\ndef f(image):\n    return [0.5, 0.5]\n"
    (tmp_path / f"slow{number}.py").write_text(model)

    code = main(["explain", photo, "--oracle", f"function:call=slow{number}.f", "--max-queries", "50"])

    assert code == 130
    assert capsys.readouterr().err == f"bbquery: interrupted by {SIGNALS[number]} before anything was asked\n"
    assert not (tmp_path / "bbquery-out").exists()


def test_signals_are_given_back(photo: str) -> None:
    """A program that calls the command line hears its signals as before."""
    before = [signal.getsignal(number) for number in SIGNALS]

    main(command("explain", photo))

    assert [signal.getsignal(number) for number in SIGNALS] == before


CHILD = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.{hang_up})
from bbquery.cli import main
from bbquery.ledger import reports
from bbquery.ledger.accounts import Accounts
from tests.commands import test_interrupts
from tests.support.counted import watched
watched.before.append(lambda: test_interrupts.wait_for_the_end_of({told}))
code = main({typed!r})
open({ended!r}, "w").write(str(code))
"""


def wait_for_the_end_of(told: int) -> None:
    """Say that there have been ten answers, and wait until the terminal is closed: then nothing can be read from it."""
    if watched.calls == 10:
        os.write(told, b"ten")
        with contextlib.suppress(OSError):
            os.read(0, 1)


def on_a_terminal_that_is_closed(typed: list[str], hang_up: str, tmp_path: Path) -> str:
    """Run a command on a terminal of its own, close that after ten answers; return its exit code."""
    master, slave = pty.openpty()
    ten, told = os.pipe()
    ended = tmp_path / "ended"
    child = CHILD.format(hang_up=hang_up, told=told, typed=typed, ended=str(ended))
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=slave, stdout=slave, stderr=slave, pass_fds=[told], start_new_session=True
    ) as process:
        os.close(slave)
        os.close(told)
        assert os.read(ten, 3) == b"ten"
        os.close(master)
        process.wait(timeout=60)
    os.close(ten)
    return ended.read_text()


def test_a_closed_terminal_ends_a_run_in_order(photo: str, tmp_path: Path) -> None:
    """Its window is closed: the run stops as by Ctrl-C, writes what it has, and the same command completes it."""
    typed = command("explain", photo)

    code = on_a_terminal_that_is_closed(typed, "SIG_DFL", tmp_path)

    written = json.loads((tmp_path / "explain" / "run.json").read_text())
    assert code == "130"
    assert (written["status"], written["stopped"]) == ("partial", "interrupted by a closed terminal")
    assert written["queries"]["sent"] >= 10
    assert main(typed) == 0
    assert written["queries"]["sent"] + watched.calls == 50


def test_many_photos_go_on_where_only_the_screen_is_gone(photo: str, tmp_path: Path) -> None:
    """Told to outlive its terminal, as by nohup, a run asks all that it was to ask, and ends with 0."""
    code = on_a_terminal_that_is_closed(command("several", photo), "SIG_IGN", tmp_path)

    records = [json.loads(path.read_text()) for path in (tmp_path / "several").rglob("run.json")]
    assert code == "0"
    assert [record["status"] for record in records] == ["complete", "complete"]
