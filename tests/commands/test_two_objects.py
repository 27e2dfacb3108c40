"""The two-object demonstration of Zhang et al. (figures 4 and C1): one set of queries, a map for each object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.images import reading

if TYPE_CHECKING:
    from pathlib import Path

CAT, CUP = "tabby+tiger cat+Egyptian cat", "espresso+cup"  # ImageNet has no cat, but kinds of it
HALF = (448, 224)  # width and height of each photo in the montage


@pytest.fixture
def montage(tmp_path: Path) -> str:
    """A cat above a cup of coffee, each half a square."""
    cat, coffee = reading.load("sample:cat")[30:255], reading.load("sample:coffee")[60:360]
    halves = [Pillow.fromarray(photo).resize(HALF, Pillow.Resampling.BICUBIC) for photo in (cat, coffee)]
    path = tmp_path / "two.png"
    Pillow.fromarray(np.concatenate([np.asarray(half) for half in halves])).save(path)
    return str(path)


def test_two_targets_in_one_photo_have_two_maps_from_one_set_of_queries(montage: str, tmp_path: Path) -> None:
    """A real model's evidence for the cat lies on the cat and for the cup on the cup; 600 queries pay for both maps."""
    out = tmp_path / "out"

    caps = ("--max-queries", "600", "--verify", "0")
    code = main(["explain", montage, "--target", f"{CAT},{CUP}", *caps, "--out", str(out)])

    record = json.loads((out / "run.json").read_text())
    maps = [
        np.load(out / file) for file in record["files"] if file.endswith(".npy") and not file.endswith("-error.npy")
    ]
    (cat_on_cat, cat_on_cup), (cup_on_cat, cup_on_cup) = [
        (np.nanmean(m[: HALF[1]]), np.nanmean(m[HALF[1] :])) for m in maps
    ]
    seen = ~np.isnan(maps[0])
    assert code == 0
    assert [target["target"] for target in record["targets"]] == [CAT, CUP]
    assert record["queries"]["sent"] == 600
    assert cat_on_cat > 0 > cat_on_cup
    assert cup_on_cup > 0 > cup_on_cat
    assert np.corrcoef(maps[0][seen], maps[1][seen])[0, 1] < 0
