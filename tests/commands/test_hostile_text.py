"""What a model, a server or a file says cannot fool who reads a terminal, a log or a report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.types import Label, Labels, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bbquery.types import Image

HOSTILE = "\x1b[2J\x1b]0;owned\x07cat\u202egod\r\x9b31m\nbbquery: complete\u2028\ud800"
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")


def labels(image: Image) -> Reply:
    """Answer with hostile labels of a hostile model."""
    bright = float(image.mean()) / 255
    return Reply(Labels((Label(HOSTILE, bright), Label(f"{HOSTILE} too", 1 - bright))), served=HOSTILE)


def text(image: Image) -> Reply:
    """Answer with a hostile text."""
    return f"{HOSTILE} cat" if image.mean() > 100 else HOSTILE  # type: ignore[return-value] # a function may


def raising(image: Image) -> str:
    """Fail with a hostile message."""
    raise ValueError(HOSTILE)


@pytest.fixture
def photo(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Pillow.fromarray(pixels).save(path)
    return str(path)


def oracle(call: str, answers: str) -> list[str]:
    return ["--oracle", f"function:call=tests.commands.test_hostile_text.{call},answers={answers},version=1"]


QUICK = ("--method", "designed:cells=4")  # the default with fewer cells, which takes a small part of its time
COMMANDS: dict[str, Callable[[str], Sequence[str]]] = {
    "explain labels": lambda photo: ["explain", photo, *oracle("labels", "labels"), "--max-queries", "20", *QUICK],
    "explain text": lambda photo: ["explain", photo, *oracle("text", "text"), "--target", "cat", "--max-queries", "20"],
    "explain an error": lambda photo: ["explain", photo, *oracle("raising", "labels"), "--max-queries", "20"],
    "explain several": lambda photo: [
        "explain", photo, "sample:cat", *oracle("labels", "labels"), "--max-queries", "40", *QUICK,
    ],
    "explain several errors": lambda photo: [
        "explain", photo, "sample:cat", *oracle("raising", "labels"), "--max-queries", "40",
    ],
    "compare": lambda photo: [
        "compare", photo, "--methods", f"rise,{QUICK[1]}", *oracle("labels", "labels"), "--max-queries", "20",
    ],
    "probe": lambda photo: ["probe", photo, *oracle("labels", "labels"), "--score", "label", "--max-queries", "60"],
    "attack": lambda photo: [
        "attack", photo, *oracle("labels", "labels"), "--score", "label", "--max-queries", "160", "--yes",
    ],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_model_says_is_shown_and_not_obeyed(
    command: str, photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels, texts, models' names and errors: no escape, direction or line of their own gets to a person."""
    out = tmp_path / "out"
    log = [] if command == "compare" else ["--log", str(tmp_path / "log")]

    code = main([*COMMANDS[command](photo), "--out", str(out), *log])

    said = capsys.readouterr()
    assert code == (3 if "error" in command else 0)
    assert "owned" in said.out + said.err
    written = [
        path.read_text(encoding="utf-8") for path in (*out.rglob("*.json"), *out.rglob("*.html"), *tmp_path.glob("log"))
    ]
    for text in (said.out, said.err.replace("\r", ""), *written):
        assert "Traceback" not in text
        assert HARMFUL.findall(text) == []
        assert not re.search(r"^bbquery: complete", text, re.MULTILINE)
    for record in out.rglob("*.json"):
        json.loads(record.read_text(encoding="utf-8"))
