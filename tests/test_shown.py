"""What comes from outside can be read on a terminal, and can do nothing else there."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.cli import main
from bbquery.shown import SafeStream, cell, shown, shown_lines

FULL = Path("/dev/full")
JOINERS = "\u200c\u200d"
VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # of numbers
LATER_SCRIPTS = {
    chr(code) for low, high in ((0x13430, 0x13440), (0x1BCA0, 0x1BCA4), (0x1D173, 0x1D17B)) for code in range(low, high)
}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("tabby, Katze, 猫, قطة, 🐈‍⬛", "tabby, Katze, 猫, قطة, 🐈‍⬛"),
        ("\x1b]0;owned\x07\x1b[2J", "\\u001b]0;owned\\u0007\\u001b[2J"),
        ("cat\nbbquery: complete", "cat\\nbbquery: complete"),
        ("100 %\r  3 %", "100 %\\r  3 %"),
        ("invoice\u202egnp.exe", "invoice\\u202egnp.exe"),
        ("\x9b31m", "\\u009b31m"),
        ("a\u2028b\u0085c", "a\\u2028b\\u0085c"),
        ("ca\u200bt", "ca\\u200bt"),
        ("cat\ud800", "cat\\ud800"),
        ("flag\U000e0041", "flag\\udb40\\udc41"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_by_its_number(text: str, safe: str) -> None:
    """Escapes, carriage returns, line breaks, directions, invisible characters and halves of pairs; letters stay."""
    assert shown(text) == safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"), ("\t=1", "'\t=1"), ("-2", "-2"), ("+1.5e-9", "+1.5e-9"), ("tabby", "tabby"), ("", ""),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(text: str, safe: str) -> None:
    """A label that begins as a formula does is text to a spreadsheet; a negative number is still a number."""
    assert cell(text) == safe


def test_nothing_harmful_is_forgotten() -> None:
    """Of all characters: none that controls, is invisible, separates lines or has no encoding is left as it is."""
    kept = {c for c in map(chr, range(0x110000)) if shown(c) == c}

    harmful = {c for c in kept if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert harmful <= {*JOINERS, *VISIBLE_FORMATS, *LATER_SCRIPTS}


@given(st.text())
def test_it_is_json_that_reads_back(text: str) -> None:
    """Within JSON the same text comes back: what is shown there is still what was answered."""
    assert json.loads(shown_lines(json.dumps({"answer": text}, ensure_ascii=False))) == {"answer": text}


def test_long_text_is_cut() -> None:
    """A label of a megabyte does not fill the screen."""
    assert shown("x" * 10**6, 5) == "xxxxx…"
    assert shown("xxxxx", 5) == "xxxxx"


def test_lines_of_ones_own_are_kept() -> None:
    """Where text is a table of our own, its line breaks stand, and nothing else moves the cursor."""
    assert shown_lines("a\n\x1bb") == "a\n\\u001bb"


class Failing(io.StringIO):
    """A stream whose other end is gone, or whose disk is full."""

    encoding: Any = "utf-8"

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise OSError(self.error, os.strerror(self.error))


def test_what_an_encoding_lacks_is_written_by_its_number() -> None:
    """A terminal without a character for it never ends a run."""
    raw = io.BytesIO()
    stream = SafeStream(io.TextIOWrapper(raw, encoding="ascii"))

    stream.write("Katze – 猫 – \ud800\n")
    stream.flush()

    assert raw.getvalue() == b"Katze \\u2013 \\u732b \\u2013 \\ud800\n"


@pytest.mark.parametrize("error", [errno.EPIPE, errno.EIO])
def test_a_reader_who_left_is_no_failure(error: int) -> None:
    """A pipe or terminal that is closed drops what comes after; results are in files."""
    stream = SafeStream(Failing(error))

    stream.write("lost")
    stream.write("lost too")
    stream.flush()

    assert stream.failed is None


def test_a_full_disk_behind_standard_output_is_kept_for_the_end() -> None:
    """What could not be written is no reason to stop a run, but is not passed over either."""
    stream = SafeStream(Failing(errno.ENOSPC))

    stream.write("lost")

    assert stream.failed is not None
    assert stream.failed.errno == errno.ENOSPC


def test_a_command_prints_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command quotes, of an answer or of what was typed, passes through one place."""
    main(["score", '["\\u001b[2Jcat\\u202e", "dog\\ud800"]', "--score", "label", "--target", "\x1b[31mcat"])

    said = capsys.readouterr()
    assert "\\u001b[2Jcat" in said.out
    assert "dog\\ud800" in said.out
    assert not {"\x1b", "\u202e", "\ud800"} & set(said.out + said.err)


def bbquery(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bbquery", *arguments]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, **options)


def test_a_reader_who_reads_one_line_changes_no_exit_code() -> None:
    """`bbquery list methods | head -1` ends with 0 and says nothing of a broken pipe."""
    reading, writing = os.pipe()
    os.close(reading)

    done = bbquery("list", "methods", stdout=writing)

    os.close(writing)
    assert done.returncode == 0
    assert b"ipe" not in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_a_full_standard_output_is_said() -> None:
    """`bbquery list methods > FULL` ends with 6 and says why."""
    with FULL.open("wb") as full:
        done = bbquery("list", "methods", stdout=full)

    assert done.returncode == 6
    assert done.stderr.endswith(b"bbquery: standard output could not be written: No space left on device\n")


def test_a_terminal_that_knows_ascii_only_gets_all_the_same() -> None:
    """Signs that such a terminal lacks are written by number, and the exit code stays."""
    done = bbquery(
        "score", "猫", "--score", "label", stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )

    assert done.returncode == 0
    assert b"\\u732b" in done.stdout
