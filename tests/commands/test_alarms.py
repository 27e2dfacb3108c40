"""What forbids spending on is said and decides the exit code, also where nothing is missing from a result."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.client.halt import Interrupted
from bbquery.commands.exit_codes import alarms, ended_by, exit_code
from bbquery.errors import BudgetExhausted, CostAboveHold, QuotaExceeded, StorageFailed
from bbquery.types import Reply, Vector
from bbquery.units import Units
from tests.support.models import sides

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.errors import BbqueryError

_TURNS = itertools.count()
LAST = -1  # the query that costs too much


def dear_at_last(image: Any) -> Reply:
    """Bill the last query of a run more than was held for it."""
    cost = 5_000_000_000_000 if next(_TURNS) == LAST else 1_500_000_000
    return Reply(Vector(np.array(sides(image))), Units(1, 0, cost))


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.png" for name in ("one", "two")]
    for seed, path in enumerate(paths):
        pixels = np.random.default_rng(seed).integers(150, 256, (16, 16, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(path)
    return [str(path) for path in paths]


@pytest.mark.parametrize("verb", ["explain", "several", "evaluate", "probe"])
def test_a_bill_above_its_hold_at_the_last_query_is_said(
    verb: str, photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole result does not hide that no cap is safe: exit code 3, and a line with what was billed."""
    monkeypatch.setattr(f"{__name__}._TURNS", turns := itertools.count())
    assert main(command(verb, photos, tmp_path, version=1)) == 0
    monkeypatch.setattr(f"{__name__}.LAST", next(turns) - 1)
    monkeypatch.setattr(f"{__name__}._TURNS", itertools.count())
    capsys.readouterr()

    code = main(command(verb, photos, tmp_path, version=2))

    said = capsys.readouterr().err
    assert code == 3
    assert "ALARM: " in said
    assert "a query cost $5.00, and at most $0.0015 was held for it" in said
    assert "PARTIAL" not in said
    assert "asks only for the rest" not in said


def command(verb: str, photos: list[str], tmp_path: Path, *, version: int) -> list[str]:
    """Return a command that asks a few queries."""
    oracle = (
        "function:call=tests.commands.test_alarms.dear_at_last,classes=left|right,"
        f"version={version},usd_per_query=0.0015"
    )
    few = ["--oracle", oracle, "--max-usd", "20", "--out", str(tmp_path / f"{verb}{version}")]
    match verb:
        case "explain" | "several":
            images = photos if verb == "several" else photos[:1]
            queries = str(20 * len(images))
            return [
                "explain",
                *images,
                *few,
                "--method",
                "rise:queries=10",
                "--target",
                "left",
                "--max-queries",
                queries,
            ]
        case "evaluate":
            np.save(tmp_path / "map.npy", np.arange(256.0).reshape(16, 16))
            how = ["--metrics", "srg", "--steps", "4", "--target", "left", "--max-queries", "30"]
            return ["evaluate", str(tmp_path / "map.npy"), photos[0], *few, *how]
        case _:
            return ["probe", photos[0], *few, "--score", "soft", "--max-queries", "20"]


@pytest.mark.parametrize(
    ("error", "partial", "code"),
    [
        (None, False, 0),
        (CostAboveHold("dear"), False, 3),
        (QuotaExceeded("gone"), False, 3),
        (StorageFailed("full"), False, 1),
        (BudgetExhausted("run", "queries", remaining=0, needed=1, cap=5), False, 0),
        (Interrupted("Ctrl-C"), False, 0),
        (BudgetExhausted("run", "queries", remaining=0, needed=1, cap=5), True, 4),
        (Interrupted("Ctrl-C"), True, 130),
    ],
)
def test_a_whole_result_ends_well_unless_it_raised_an_alarm(
    error: BbqueryError | None, partial: bool, code: int
) -> None:
    """A cap that was reached and a stop by hand are no alarm where nothing is missing."""
    assert exit_code(ended_by(error, partial=partial)) == code
    assert bool(alarms(error, partial=partial)) == (code != 0 and not partial)
