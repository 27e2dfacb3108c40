"""Who pays agrees first: a cap in dollars, a word on a terminal or --yes; a program states a cap."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.ledger.records import Cap
from oracles import function
from tests.support import drawing, models
from tests.support.counted import watched
from tests.support.runs import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

FREE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
PAID = f"{FREE},usd_per_query=0.001"
PHOTO = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    watched.begin()
    drawing.make_blank(monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(PHOTO).save(path)
    Pillow.fromarray(PHOTO[::-1].copy()).save(tmp_path / "other.png")
    np.save(tmp_path / "map.npy", np.arange(320.0).reshape(16, 20))
    return path


def explain(photo: Path) -> list[str]:
    return ["explain", str(photo), "--method", "rise:cells=4", "--max-queries", "20"]


def several(photo: Path) -> list[str]:
    other = str(photo.with_name("other.png"))
    return ["explain", str(photo), other, "--method", "rise:cells=4", "--max-queries", "20"]


def compare(photo: Path) -> list[str]:
    return ["compare", str(photo), "--methods", "rise:cells=4,rise:cells=3", "--max-queries", "20"]


def evaluate(photo: Path) -> list[str]:
    how = ("--metrics", "srg", "--steps", "4", "--target", "left", "--max-queries", "20")
    return ["evaluate", str(photo.with_name("map.npy")), str(photo), *how]


def probe(photo: Path) -> list[str]:
    return ["probe", str(photo), "--score", "soft", "--max-queries", "20"]


def attack(photo: Path) -> list[str]:
    return ["attack", str(photo), "--max-queries", "150", "--yes"]


COMMANDS = pytest.mark.parametrize("typed", [explain, several, compare, evaluate, probe])


def run(photo: Path, typed: Callable[[Path], list[str]], *more: str, oracle: str = PAID) -> int:
    return main([*typed(photo), "--oracle", oracle, "--out", str(photo.parent / "out"), *more])


@COMMANDS
def test_a_script_without_a_cap_in_dollars_is_refused(
    typed: Callable[[Path], list[str]], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where money would be spent and nobody can be asked: exit code 2, the worst case and both ways out; no folder."""
    assert run(photo, typed) == 2

    said = capsys.readouterr().err
    worst = "0.04" if typed is compare else "0.02"
    assert f"may cost up to ${worst} and has no cap in dollars" in said
    assert "--max-usd" in said
    assert "--yes" in said
    assert watched.calls == 0
    assert not (photo.parent / "out").exists()


@COMMANDS
@pytest.mark.parametrize("more", [("--yes",), ("--max-usd", "1"), ("--project", "paper")])
def test_a_cap_or_a_word_beforehand_is_agreement(
    typed: Callable[[Path], list[str]], more: tuple[str, ...], photo: Path
) -> None:
    """--yes, a cap of the run, or that of the project it counts in; the project's may lie in a budget above."""
    main(["budget", "set", "lab", "--max-usd", "1"])
    main(["budget", "set", "paper", "--inside", "lab"])

    assert run(photo, typed, *more) == 0
    assert watched.calls > 0


@COMMANDS
def test_what_costs_nothing_never_asks(typed: Callable[[Path], list[str]], photo: Path) -> None:
    """A free oracle, and one at a price of nothing, are asked at once."""
    assert run(photo, typed, oracle=FREE) == 0
    assert run(photo, typed, oracle=f"{FREE},usd_per_query=0") == 0


def test_a_project_without_a_cap_in_dollars_is_none(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A project that caps queries alone leaves the question of dollars open."""
    main(["budget", "set", "paper", "--max-queries", "100"])

    assert run(photo, explain, "--project", "paper") == 2
    assert "no cap in dollars" in capsys.readouterr().err


def test_a_cap_of_each_image_is_agreement(photo: Path) -> None:
    """Dollars for each image cap the run too."""
    assert run(photo, several, "--max-usd-per-image", "1") == 0


@COMMANDS
@pytest.mark.parametrize(("said", "code"), [("yes\n", 0), ("no\n", 2), ("", 2)])
def test_a_person_sees_the_worst_case_and_decides(
    typed: Callable[[Path], list[str]],
    said: str,
    code: int,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a terminal the worst case is shown, and only yes goes on."""
    monkeypatch.setattr(sys, "stdin", Terminal(said))

    assert run(photo, typed) == code
    assert "It sends at most:" in (shown := capsys.readouterr().out)
    assert "at worst" in shown
    assert "prices       the option usd_per_query" in shown
    assert (watched.calls > 0) == (code == 0)


@pytest.mark.parametrize("typed", [explain, several, compare, evaluate, probe, attack])
def test_a_project_that_is_not_there_is_said_before_anything_is_made(
    typed: Callable[[Path], list[str]], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the command that makes it, and no folder is left behind."""
    assert run(photo, typed, "--project", "my paper", oracle=FREE) == 2

    assert "bbquery budget set 'my paper'" in capsys.readouterr().err
    assert not (photo.parent / "out").exists()
    assert watched.calls == 0


# --- from Python ---


def paid() -> bbquery.Oracle:
    return function.connect(models.sides, classes="left|right", version="1", usd_per_query="0.001")


async def ask(kind: str, ledger: Ledger, **caps: Any) -> object:
    """Ask a paid oracle for something, with these caps."""
    if kind == "explain":
        return await bbquery.explain_async(PHOTO, paid(), method="rise:queries=9", ledger=ledger, **caps)
    if kind == "many":
        return [
            each
            async for each in bbquery.explain_many_async(
                [PHOTO], paid(), method="rise:queries=9", ledger=ledger, **caps
            )
        ]
    if kind == "probe":
        return await bbquery.probe_async(PHOTO, paid(), score=["soft"], ledger=ledger, **caps)
    values = np.arange(320.0).reshape(16, 20)
    return await bbquery.evaluate_async(values, PHOTO, paid(), target="left", ledger=ledger, **caps)


KINDS = pytest.mark.parametrize("kind", ["explain", "many", "probe", "evaluate"])


@KINDS
async def test_a_program_that_states_no_cap_pays_nothing(kind: str, ledger: Ledger) -> None:
    """A default is no consent: without max_queries or max_usd a paid oracle is a usage error, with both named."""
    with pytest.raises(UsageError, match=r"may cost \$0.001, .* give max_queries or max_usd"):
        await ask(kind, ledger)


@KINDS
@pytest.mark.parametrize("caps", [{"max_queries": 1000}, {"max_usd": "1"}, {"project": "paper"}])
async def test_a_program_that_states_a_cap_has_agreed(kind: str, caps: dict[str, Any], ledger: Ledger) -> None:
    """Queries or dollars, or a project with a cap in dollars."""
    ledger.open_budget("paper", Cap(picodollars=10**12))

    assert await ask(kind, ledger, **caps)


@KINDS
async def test_a_program_may_ask_a_free_oracle_at_will(kind: str, ledger: Ledger, monkeypatch: Any) -> None:
    """Where nothing is paid, defaults hold."""
    free = function.connect(models.sides, classes="left|right", version="1")
    monkeypatch.setattr(sys.modules[__name__], "paid", lambda: free)

    assert await ask(kind, ledger)
