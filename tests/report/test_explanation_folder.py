"""The files of an explanation: which are written when, and what they hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.images.placement import Placement
from bbquery.jobs.explain.progress import checkpoints, stages
from bbquery.plan import replay
from bbquery.report import folder
from bbquery.report.progress import progress_png
from bbquery.report.sentence import plain_unit
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8
from oracles import function
from tests.support import models
from tests.support.cells_method import Cells

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PHOTO = np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)
WHOLE = {"run.json", "report.html"}
CELLS = Cells(queries=70, note="beware of the dog")


def explained(tmp_path: Path, method: Any, target: str | None = "left", queries: int = 100) -> bbquery.Explanation:
    classes = "left|cat error"
    with bbquery.Ledger(tmp_path / "ledger.sqlite3") as ledger:
        oracle = function.connect(models.sides, classes=classes, version="1", height=16, width=16, crop=0.8)
        return bbquery.explain(
            PHOTO, oracle, method=method, target=target, max_queries=queries, verify=0, ledger=ledger
        )


def written(explanation: bbquery.Explanation, out: Path, **options: Any) -> set[str]:
    out.mkdir(exist_ok=True)
    paths = folder.write(explanation, out, command=["bbquery"], source="photo.png", **options)
    assert [path.name for path in paths[-2:]] == ["run.json", "report.html"]
    assert {path.name for path in paths} == {path.name for path in out.iterdir()}
    return {path.name for path in paths}


def test_a_map_that_knows_its_error_has_it_in_files(tmp_path: Path) -> None:
    """The standard error is an array like the map's, its interval a picture; the record says how they hang together."""
    explanation = explained(tmp_path, CELLS)

    names = written(explanation, tmp_path / "out")

    assert names == {"left.npy", "left.png", "left-error.npy", "left-interval.png", *WHOLE}
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "left-error.npy"), explanation.maps[0].standard_error)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    (target,) = record["targets"]
    assert target["interval"]["standard_errors"] == 1.645
    assert 0 <= target["interval"]["excludes_zero"] <= 1
    assert target["notes"] == ["beware of the dog"]
    assert sum(each["asked"] for each in target["visibility"]) == target["queries"] == 70
    assert set(record["files"]) == names - {"run.json"}


def test_a_map_without_an_error_has_no_files_of_it(tmp_path: Path) -> None:
    """What a method does not estimate is null in the record and absent from the folder."""
    assert written(explained(tmp_path, Rise(queries=20)), tmp_path / "out") == {"left.npy", "left.png", *WHOLE}
    (target,) = json.loads((tmp_path / "out" / "run.json").read_text())["targets"]
    assert target["interval"] is None
    assert target["queries"] == 20


def test_files_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    """A folder is of one run: what this one does not write is removed."""
    (tmp_path / "out").mkdir()
    for ending in ("-error.npy", "-interval.png", "-progress.png"):
        (tmp_path / "out" / f"left{ending}").write_bytes(b"of an earlier run")

    assert written(explained(tmp_path, Rise(queries=20)), tmp_path / "out") == {"left.npy", "left.png", *WHOLE}


def test_a_target_s_name_is_no_other_target_s_file(tmp_path: Path) -> None:
    """A target that is called like another one's error array gets a number."""
    (m,) = explained(tmp_path, Rise(queries=5), "cat error").maps

    assert folder.names_of([replace(m, target="cat"), m, m]) == ["cat", "cat-error~1", "cat-error~2"]


def test_a_score_that_does_not_move_is_in_the_record(tmp_path: Path) -> None:
    """What a person is warned of on the terminal is in the record too; notes are there already."""
    oracle = function.connect(lambda _: [0.5, 0.5], classes="left|right")
    with bbquery.Ledger(tmp_path / "ledger.sqlite3") as ledger:
        explanation = bbquery.explain(
            PHOTO, oracle, method=CELLS, target="left", max_queries=100, verify=0, ledger=ledger
        )

    written(explanation, tmp_path / "out", progress=True)

    warnings = json.loads((tmp_path / "out" / "run.json").read_text())["warnings"]
    assert [(each["kind"], each["target"]) for each in warnings] == [("NOT MOVED", "left")]


# --- the strip of a map on its way ---


def test_the_strip_is_drawn_without_a_query(tmp_path: Path) -> None:
    """--progress adds one picture, the same every time, made from the recorded scores."""
    explanation = explained(tmp_path, CELLS)

    names = written(explanation, tmp_path / "out", progress=True)

    assert "left-progress.png" in names
    (m,) = explanation.maps
    again = progress_png(
        PHOTO, stages(explanation, m), title="Evidence for “left” as queries were answered", unit=plain_unit(m)
    )
    assert (tmp_path / "out" / "left-progress.png").read_bytes() == again
    with Pillow.open(tmp_path / "out" / "left-progress.png") as picture:
        assert max(picture.size) <= 1600


@pytest.mark.parametrize(
    "method", [Rise(queries=70, batch=20), CELLS, "lr:queries=70,batch=50", "bayes:queries=70"], ids=str
)
def test_a_stage_is_the_map_of_a_run_that_stopped_there(method: Any, tmp_path: Path) -> None:
    """The map after 32 and 64 queries is what a live run of the same method gives when it is stopped there."""
    explanation = explained(tmp_path, method)

    found = stages(explanation, explanation.maps[0])

    assert [stage.queries for stage in found] == [32, 64, 70]
    np.testing.assert_array_equal(found[-1].values, explanation.maps[0].values)
    assert found[-1].correlation == pytest.approx(1)
    assert all(-1 <= stage.correlation <= 1 for stage in found)
    live = _live(explanation, tmp_path, 32)
    np.testing.assert_array_equal(found[0].values, live)


def _live(explanation: bbquery.Explanation, tmp_path: Path, queries: int) -> np.ndarray[Any, Any]:
    """Run the method again on the model itself, stopped after so many queries."""
    from bbquery.images.placement import fit
    from bbquery.scoring.base import score_rows
    from bbquery.types import Vector

    x, placement = fit(PHOTO, explanation.oracle.view, UINT8)

    def answer(ask: bbquery.Ask) -> bbquery.Scores:
        answers = [[Vector(np.array(models.sides(ask.images[row])))] for row in range(len(ask.images))]
        return score_rows(explanation.maps[0].score, answers)

    m = replay(explanation.method.plan(x, UINT8, explanation.seed), answer, stop_after=queries)
    return placement.to_photo(m.values)


@pytest.mark.parametrize(
    ("queries", "after"), [(0, []), (1, []), (32, []), (33, [32]), (64, [32]), (300, [32, 64, 128, 256])]
)
def test_maps_are_looked_at_after_doublings(queries: int, after: list[int]) -> None:
    """After 32 queries, twice as many and so on, as long as the end is still to come."""
    assert checkpoints(queries) == after


def test_a_run_of_one_query_has_a_strip_of_one(tmp_path: Path) -> None:
    """A map that rests on next to nothing is drawn and says so; its correlation with itself is unknown."""
    explanation = explained(tmp_path, Rise(queries=1))

    (stage,) = stages(explanation, explanation.maps[0])

    assert np.isnan(stage.correlation)
    assert "left-progress.png" in written(explanation, tmp_path / "out", progress=True)


# --- on the command line ---

HERE = "function:call=tests.support.models.sides,classes=left|right,version=1"


def test_a_person_sees_the_strip_the_notes_and_the_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`explain --progress` names the strip among its files; what must be known of the map is said."""
    Pillow.fromarray(PHOTO).save(tmp_path / "photo.png")
    method = "tests.support.cells_method:Cells:queries=40,note=beware"

    typed = ["explain", str(tmp_path / "photo.png"), "--oracle", HERE, "--method", method, "--target", "left"]
    code = main([*typed, "--out", str(tmp_path / "out"), "--progress"])

    said = capsys.readouterr()
    assert code == 0
    assert str(tmp_path / "out" / "left-progress.png") in said.out.splitlines()
    assert "bbquery: NOTE: left: beware" in said.err


def test_several_photos_have_all_their_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each photo's folder has the further pictures too; the page shows the maps, a warning names the photo."""
    for name in ("cat", "dog"):
        Pillow.fromarray(PHOTO).save(tmp_path / f"{name}.png")
    photos = [str(tmp_path / f"{name}.png") for name in ("cat", "dog")]

    method = "tests.support.cells_method:Cells:queries=40,note=beware"
    typed = ["explain", *photos, "--oracle", HERE, "--method", method]
    code = main([*typed, "--target", "left,right", "--out", str(tmp_path / "out")])

    assert code == 0
    for name in ("cat", "dog"):
        assert (tmp_path / "out" / name / "right-interval.png").is_file()
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count("/report.html#map-1") == page.count("/report.html#map-2") == 2
    assert "bbquery: NOTE: dog: right: beware" in capsys.readouterr().err


def test_maps_of_a_large_photo_are_written_as_they_were_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size that is stated, arrays are float32 of the pixels sent, and the record leads back to the photo."""
    assert folder.LARGEST_WHOLE * np.dtype(np.float64).itemsize == 32_000_000  # bytes, of each array
    monkeypatch.setattr(folder, "LARGEST_WHOLE", 24 * 32 - 1)
    explanation = explained(tmp_path, CELLS)

    written(explanation, tmp_path / "out")

    record = json.loads((tmp_path / "out" / "run.json").read_text())
    for name, whole in (("left", explanation.maps[0].values), ("left-error", explanation.maps[0].standard_error)):
        asked = np.load(tmp_path / "out" / f"{name}.npy")
        assert (asked.dtype, asked.shape) == (np.float32, (16, 16))
        assert "float32" in record["files"][f"{name}.npy"]
        again = Placement.of(record["image"]["sent"]).to_photo(asked)
        np.testing.assert_allclose(again, np.asarray(whole), rtol=1e-5, atol=1e-6)


def test_maps_of_a_large_photo_are_written_whole_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With full_size arrays are as those of smaller photos."""
    monkeypatch.setattr(folder, "LARGEST_WHOLE", 10)
    explanation = explained(tmp_path, CELLS)

    written(explanation, tmp_path / "out", full_size=True)

    np.testing.assert_array_equal(np.load(tmp_path / "out" / "left.npy"), explanation.maps[0].values)


@pytest.mark.parametrize(("largest", "more"), [(10, []), (10, ["--full-size"]), (10_000, [])])
@pytest.mark.parametrize("size", ["height=16,width=16", "height=12,width=12"])
def test_maps_of_any_size_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int, more: list[str], size: str
) -> None:
    """A map's file is read whichever way it was written, also for a model that is sent other pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "LARGEST_WHOLE", largest)
    Pillow.fromarray(PHOTO).save("photo.png")
    oracle = "function:call=tests.support.models.sides,classes=left|right,version=1,crop=0.8,"
    asked = ["--oracle", f"{oracle}height=16,width=16", "--max-queries", "20", "--method", "rise", "--out", "out"]
    assert main(["explain", "photo.png", *asked, *more]) == 0

    (array,) = [path for path in (tmp_path / "out").glob("*.npy") if not path.stem.endswith("-error")]
    assert np.load(array).shape == ((24, 32) if more or largest == 10_000 else (16, 16))
    assert main(["evaluate", "out", "photo.png", "--oracle", oracle + size, "--steps", "4", "--out", "worth"]) == 0


def test_maps_of_several_large_photos_are_written_whole_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--full-size is of every photo of a run."""
    monkeypatch.setattr(folder, "LARGEST_WHOLE", 10)
    photos = [tmp_path / f"{name}.png" for name in ("cat", "dog")]
    for photo in photos:
        Pillow.fromarray(PHOTO).save(photo)
    typed = ["explain", *map(str, photos), "--oracle", f"{HERE},height=16,width=16", "--target", "left"]

    assert main([*typed, "--max-queries", "20", "--full-size", "--out", str(tmp_path / "out")]) == 0

    assert [np.load(tmp_path / "out" / name / "left.npy").shape for name in ("cat", "dog")] == [(24, 32)] * 2


async def _ends_here(_: object) -> None:
    raise UsageError("asked for the first time")


def test_a_strip_is_warned_of_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo of 400 × 10 pixels of which a model is shown the middle alone: said first, in every command."""
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(np.tile(PHOTO[:10, :10], (1, 40, 1))).save("strip.png")
    np.save("map.npy", np.random.default_rng(0).normal(size=(10, 400)))
    monkeypatch.setattr("bbquery.client.client.Client.__aenter__", _ends_here)
    oracle = ["--oracle", "function:call=tests.support.models.sides,classes=left|right,version=1,crop=1.0"]
    for command in (
        ["explain", "strip.png"],
        ["explain", "strip.png", "strip.png"],
        ["compare", "strip.png", "--methods", "rise,occlusion"],
        ["evaluate", "map.npy", "strip.png"],
        ["probe", "strip.png"],
        ["attack", "strip.png", "--max-queries", "150", "--yes"],
    ):
        main([*command, *oracle])
        assert "BEWARE: " in (said := capsys.readouterr().err), command
        assert "a sliver of the photo, 10 × 10 of its 400 × 10 pixels (2.50%)" in said
