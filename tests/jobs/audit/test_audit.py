"""`bbquery.audit` and `bbquery.audit_async`: an audit from Python."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.figure import Figure

import bbquery
from bbquery.errors import UsageError
from tests.support import drawing
from tests.support.audits import photos_in
from tests.support.counted import watched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A plan of two photos on a free oracle, each asked twice."""
    drawing.make_blank(monkeypatch)
    monkeypatch.chdir(tmp_path)
    watched.begin()
    photos_in(tmp_path / "photos", 2, side=16)
    oracle = "function:call=tests.support.counted.sides,classes=left|right,version=1"
    return {
        "name": "shop",
        "photos": {"from": ["photos/"]},
        "oracles": [{"name": "own", "oracle": oracle}],
        "repeat": {"times": 2},
        "gates": {"max_refusals": 0},
    }


def test_an_audit_runs_also_where_a_loop_does(plan: dict[str, Any], tmp_path: Path) -> None:
    """As in a notebook; the same again from a coroutine asks nothing."""

    async def both() -> tuple[bbquery.Audit, bbquery.Audit]:
        return bbquery.audit(plan), await bbquery.audit_async(plan)

    first, again = asyncio.run(both())

    assert watched.calls == 4
    assert (first.passed, first.partial, again.passed) == (True, False, True)
    assert [row.photo for row in again.rows()] == ["p00", "p01"]
    assert "2 of 2 complete, 1 of 1 gates met" in repr(first)
    assert first.folder == tmp_path / "shop-audit"


def test_an_audit_can_be_shown_drawn_and_copied(plan: dict[str, Any], tmp_path: Path) -> None:
    """For a notebook as lines, as a bar of its photos, and as a copy of its folder."""
    found = bbquery.audit(plan)

    ax = found.plot(Figure().subplots())
    found.save(tmp_path / "copy")

    assert [bar.get_extents().width > 0 for bar in ax.patches] == [True, False, False, False]
    assert "2 of 2 photos complete" in found._repr_html_()
    assert (tmp_path / "copy" / "own" / "p00" / "row.json").is_file()
    with pytest.raises(UsageError, match="ax must be axes"):
        found.plot("here")  # type: ignore[arg-type] # as a person would


def test_what_is_no_plan_is_refused() -> None:
    """In words, and before anything is looked at."""
    with pytest.raises(UsageError, match="a plan is the path of its file, a dictionary or a Plan, not NoneType"):
        bbquery.audit(None)  # type: ignore[arg-type] # as a person would
