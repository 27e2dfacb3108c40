"""The picture and the record of verified facts: both parts as the model saw them, and what it answered, both times."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

import bbquery
from bbquery.report import folder
from oracles import function
from tests.support.known_map import KnownMap, NeedsRows

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

PHOTO = np.full((20, 10, 3), (250, 0, 250), dtype=np.uint8)  # a colour that nothing else on the page has
SEES = NeedsRows(PHOTO, 2, 4)


def explained(ledger: Ledger, **options: Any) -> bbquery.Explanation:
    oracle = function.connect(
        lambda image: [0.8, 0.2] if SEES(image) else [0.3, 0.7], classes="cat|<img onerror> $x$", version="1"
    )
    more: dict[str, Any] = {"method": KnownMap(), "max_queries": 100, "ledger": ledger} | options
    return bbquery.explain(PHOTO, oracle, **more)


def written(explanation: bbquery.Explanation, place: Path) -> dict[str, Any]:
    folder.write(explanation, place, command=["bbquery"], source="photo.png")
    (target,) = json.loads((place / "run.json").read_text())["targets"]
    found: dict[str, Any] = target["verified"]
    return found


def test_the_record_has_what_was_asked_answered_and_told(ledger: Ledger, tmp_path: Path) -> None:
    """Shares, both answers with their numbers, the filling, and every question in order."""
    found = written(explained(ledger), tmp_path)

    assert found["enough"]["share"] == 0.25
    assert found["enough"]["answers"] == 2 * [
        [{"label": "cat", "value": 0.8, "box": None}, {"label": "<img onerror> $x$", "value": 0.2, "box": None}]
    ]
    assert found["breaks"]["says"] == "hiding 11 % makes it <img onerror> $x$"
    assert found["filling"] == "grey"
    assert found["keeps"] == "the target is on top"
    assert found["queries"] == len(found["asked"])
    assert found["asked"][0] == {
        "kind": "shown", "share": 0, "again": False, "did": False, "value": 0.3, "answered": True,
    }  # fmt: skip


def test_the_picture_shows_both_parts_as_they_were_asked(ledger: Ledger, tmp_path: Path) -> None:
    """A quarter of the left picture is the photo's, and 89 % of the right one; equal input gives equal bytes."""
    explanation = explained(ledger)
    written(explanation, tmp_path)
    data = (tmp_path / "cat-verified.png").read_bytes()
    written(explanation, tmp_path)

    pixels = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    own = np.abs(pixels - PHOTO[0, 0]).sum(axis=2) < 30
    middle = pixels.shape[1] // 2
    assert own[:, :middle].sum() / own[:, middle:].sum() == pytest.approx(0.25 / 0.89, rel=0.05)
    assert (tmp_path / "cat-verified.png").read_bytes() == data


def test_a_run_without_facts_leaves_no_picture_of_them(ledger: Ledger, tmp_path: Path) -> None:
    """What an earlier run of the same name left is removed, and the record has no facts."""
    written(explained(ledger), tmp_path)

    assert written(explained(ledger, verify=0), tmp_path) is None
    assert not (tmp_path / "cat-verified.png").exists()
