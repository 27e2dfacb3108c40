"""How far a run is: a bar on a terminal, and lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from bbquery.commands.progress import Lines, progress
from tests.support.runs import Terminal

if TYPE_CHECKING:
    import pytest


def test_a_log_gets_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody watches, each line stands by itself: none is written over, and they are few."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    with progress("image 1 of 2, cat: ", 30) as shown:
        for _ in range(30):
            now[0] += 1.0
            shown.set_postfix_str("$0.10 spent", refresh=False)
            shown.update(1)

    said = capsys.readouterr().err
    assert isinstance(shown, Lines)
    assert "\r" not in said
    assert [line.partition(" queries")[0] for line in said.splitlines()] == [
        "image 1 of 2, cat:  33% – 10/30",
        "image 1 of 2, cat:  67% – 20/30",
        "image 1 of 2, cat: 100% – 30/30",
    ]
    assert "$0.10 spent" in said


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody watches, one line is drawn over and over."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with progress("", 3) as shown:
        for _ in range(3):
            shown.update(1)

    assert terminal.getvalue().count("\r") > 1
    assert "3/3 queries" in terminal.getvalue()
