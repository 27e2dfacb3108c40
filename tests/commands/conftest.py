"""A photo, the ledger that commands open by default, a command with what it says, and what others publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.cli import main
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.types import Text
from tests.support import drawing
from tests.support.bookkeeping import ANSWERS, asked, remember, sent
from tests.support.images import saved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.runs import Say


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    home.mkdir(exist_ok=True)
    with Ledger() as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)
    return saved(tmp_path / "photo.png", pixels)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command and return what it says, on standard error where it fails; the code is checked."""

    def run(*typed: str | Path, code: int = 0) -> str:
        assert main([*map(str, typed)]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


@pytest.fixture
def published(ledger: Ledger, say: Say, tmp_path: Path) -> Path:
    """A file with answers of every kind from two oracles."""
    budget = ledger.open_budget("run", Cap())
    one = remember(ledger, oracle="openai", model="gpt-4o", temperature=0.1)
    other = remember(ledger, oracle="function", function="lab.model")
    for number, answer in enumerate(ANSWERS):
        sent(ledger, budget, asked(one, number), answer=answer, served="fp_1" if number else None)
    sent(ledger, budget, asked(other, 0), answer=Text("other"))
    path = tmp_path / "audit.jsonl"
    say("store", "export", path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another person's empty home, from when this is asked for."""
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("BBQUERY_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay pictures out but draw nothing, which took most of a command's time; `tests/report` says how they look."""
    if request.node.get_closest_marker("full_pictures") is None:
        drawing.make_blank(monkeypatch)


@pytest.fixture
def unknown(ledger: Ledger) -> int:
    """One unknown attempt, in run, which lies in paper; another was answered."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o")
    paper = ledger.open_budget("paper", Cap(picodollars=20 * 10**12))
    run = ledger.open_budget("run", Cap(queries=100, tokens=10**6), paper)
    sent(ledger, run, asked(oracle, 1))
    return sent(ledger, run, asked(oracle, 2), "unknown", reason="OutcomeUnknown: no answer within 30 seconds")
