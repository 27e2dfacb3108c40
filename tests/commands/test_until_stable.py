"""`--until stable` says at the end whether the map was stable, and after how many queries."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import bbquery
from bbquery.cli import main
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"


def stable(photo: str, out: Path, queries: int) -> dict[str, Any]:
    """Run it; return what the record says of the first map."""
    method = ["--method", "designed:cells=4", "--until", "stable", "--target", "left", "--verify", "0"]
    assert main(["explain", photo, "--oracle", SIDES, *method, "--max-queries", str(queries), "--out", str(out)]) == 0
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_when_it_was_stable_is_said_and_recorded(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal and run.json agree: after fewer queries than the budget has, and at which agreement."""
    record = stable(photo, tmp_path / "out", 400)

    said = re.search(
        r"map of “left” was stable after (\d+) of at most 399 queries: .* correlate 0\.9\d ", capsys.readouterr().out
    )
    found = record["targets"][0]["stability"]
    assert said is not None
    assert found["stable"] is True
    assert found["queries"] == int(said[1]) == record["queries"]["asked"] - 1 < 399
    assert found["agreement"] >= found["wanted"] == 0.95
    assert "NOT STABLE" not in {each["kind"] for each in record["warnings"]}


def test_that_it_never_was_is_a_warning(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the budget ends first, that is said with what to do, and is a warning in the record."""
    record = stable(photo, tmp_path / "out", 6)

    said = capsys.readouterr()
    found = record["targets"][0]["stability"]
    assert "was stable" not in said.out
    assert "NOT STABLE: left: the map was not stable within 5 queries" in said.err
    assert "ask more (--max-queries)" in said.err
    assert (found["stable"], found["queries"]) == (False, 5)
    assert "NOT STABLE" in [each["kind"] for each in record["warnings"]]


def test_without_it_nothing_is_said_of_stability(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that asks its whole budget is neither."""
    main(
        ["explain", photo, "--oracle", SIDES, "--max-queries", "6", "--target", "left", "--out", str(tmp_path / "out")]
    )

    said = capsys.readouterr()
    assert "stable" not in (said.out + said.err).lower()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["targets"][0]["stability"] is None


def test_python_has_it_too(photo: str, home: Path) -> None:
    """Each map of the result says whether it is stable, and how many queries it took."""
    oracle = function.connect(models.sides, classes="left|right", version="1")

    found = bbquery.explain(photo, oracle, target="left", method="designed:cells=4,until=stable", max_queries=400)

    (m,) = found.maps
    assert m.sent.stability is not None
    assert m.sent.stability.stable
    assert m.asked < 399
