"""Evaluations from Python of what `bbquery explain` wrote: read as by the command, with its warnings and refusals."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.cli import main
from bbquery.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
ANOTHER = SIDES.replace("version=1", "version=2")
PIXELS = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)
HOW: dict[str, Any] = {"metrics": "infidelity,aopc", "steps": 2, "copies": 4}
TYPED = ("--metrics", "infidelity,aopc", "--steps", "2", "--copies", "4")
OTHER = {"name": "sides", "identity": {}, "fingerprint": "f" * 32, "answers": "probabilities", "activation": ""}


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep the default ledger in the test's own folder, with a photo, and work there."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Pillow.fromarray(PIXELS).save("photo.png")
    return "photo.png"


def explained(*more: str, target: str = "right") -> None:
    """Let `bbquery explain` write the folder `map`."""
    typed = ["explain", "photo.png", "--oracle", SIDES, "--target", target, "--method", "rise:cells=3", *more]
    assert main([*typed, "--max-queries", "20", "--out", "map"]) == 0


def commanded(path: str, folder: Path, *more: str) -> dict[str, Any]:
    """Return the record of the same evaluation by the command."""
    assert main(["evaluate", path, "photo.png", *more, "--out", "judged"]) == 0
    record: dict[str, Any] = json.loads((folder / "judged" / "evaluation.json").read_text(encoding="utf-8"))
    return record


def same(found: bbquery.Evaluation, record: dict[str, Any]) -> bool:
    """Whether a result is what the command recorded of the same run."""
    figures = [(each.metric, None if math.isnan(each.value) else each.value) for each in found.measurements]
    return (found.run, found.target, list(found.warnings), figures) == (
        record["run"],
        record["targets"][0]["target"],
        [each["text"] for each in record["warnings"]],
        [(each["metric"], each["value"]) for each in record["metrics"]],
    )


@pytest.mark.parametrize("path", ["map", "map/run.json", "map/right.npy"])
def test_a_run_is_evaluated_alike_from_both_sides(path: str, tmp_path: Path) -> None:
    """Oracle, score and target are those of run.json, and the map's fill is warned of: one run, which is paid once."""
    explained("--score", "soft:form=log_odds")
    record = commanded(path, tmp_path, *TYPED, "--fill", "grey")

    found = bbquery.evaluate(path, "photo.png", **HOW, fill="grey")

    assert same(found, record)
    assert found.queries.sent == 0
    assert (found.target, found.oracle.name, "log_odds" in repr(found.score)) == ("right", "sides", True)
    assert "made with the fill that judges it" in found.warnings[0]


def test_the_method_and_seed_of_the_record_explain_again(tmp_path: Path) -> None:
    """A metric that makes further maps takes method and seed from run.json, whatever the evaluation's own seed."""
    explained("--seed", "7")
    record = commanded("map", tmp_path, "--metrics", "repeatability", "--repeats", "1", "--seed", "2")

    found = bbquery.evaluate("map", "photo.png", metrics="repeatability", repeats=1, seed=2)

    assert same(found, record)
    said = bbquery.evaluate("map", "photo.png", metrics="repeatability", repeats=1, method="rise:queries=20")
    assert [each.choice.made and each.choice.made.seed for each in (found, said)] == [7, 7]
    assert "leave out --method" in said.warnings[0]


def test_of_a_run_of_several_targets_one_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of several maps is none; with a target it is that target's map, from both sides."""
    explained(target="left,right")
    with pytest.raises(UsageError, match=r"several maps: give one, such as .*left\.npy.*with target"):
        bbquery.evaluate("map", "photo.png", **HOW)
    assert main(["evaluate", "map", "photo.png", *TYPED]) == 2
    assert "several maps" in capsys.readouterr().err
    with pytest.raises(UsageError, match="several maps"):
        bbquery.evaluate("map", "photo.png", **HOW, target="top")

    found = bbquery.evaluate("map", "photo.png", **HOW, target="right")

    assert same(found, commanded("map", tmp_path, *TYPED, "--target", "right"))
    assert same(found, commanded("map/right.npy", tmp_path, *TYPED))
    assert found.run != bbquery.evaluate("map", "photo.png", **HOW, target="left").run


class Heard(bbquery.Watch):
    """Keeps what a run tells, in its order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def beware(self, text: str) -> None:
        self.told.append(text)

    def progressed(self) -> None:
        self.told.append("asked")


def test_another_oracle_may_judge_once_it_is_named() -> None:
    """That the map explains another is told before anything is asked, and is among the warnings."""
    explained()
    watch = Heard()

    found = bbquery.evaluate("map", "photo.png", ANOTHER, **HOW, watch=watch)

    assert "explains another oracle" in watch.told[0]
    assert watch.told.count(watch.told[0]) == 1
    assert "asked" in watch.told
    assert watch.told[0] in found.warnings


@pytest.mark.parametrize(
    ("changed", "options", "told"),
    [
        ({"score": "Mention()"}, {}, "map of the score Mention.*say with score"),
        ({"score": "Mention()"}, {"score": "soft", "metrics": "repeatability"}, "would compare scores"),
        ({"oracle": OTHER}, {}, "map of another oracle.*with oracle which model"),
        ({}, {"image": 255 - PIXELS}, "map of another photo"),
        ({}, {"montage": [PIXELS] * 3}, "montage is for grid_pointing"),
        ({}, {"gradient": np.eye(16, 20)}, "gradient is for gradient_cosine"),
        ({"schema": 999}, {}, "made by a newer bbquery"),
    ],
)
def test_what_does_not_fit_is_refused(
    changed: dict[str, Any], options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    """The command's refusals are those of Python, before anything is sent."""
    explained()
    path = tmp_path / "map" / "run.json"
    record = json.loads(path.read_text(encoding="utf-8")) | changed
    record["targets"] = [target | {"score": record["score"]} for target in record["targets"]]
    path.write_text(json.dumps(record), encoding="utf-8")
    watch = Heard()

    with pytest.raises(UsageError, match=f"(?s){told}"):
        bbquery.evaluate(**{"map": "map", "image": "photo.png", "watch": watch, **HOW, **options})

    assert watch.told == []


def test_an_array_is_of_no_record(tmp_path: Path) -> None:
    """Nothing is taken from elsewhere for an array, nor for a file without a run.json: target is the top class."""
    explained()
    values = np.load(tmp_path / "map" / "right.npy")
    np.save("bare.npy", values)

    runs = [bbquery.evaluate(each, "photo.png", SIDES, **HOW) for each in (values, "bare.npy")]

    assert runs[0].run == runs[1].run
    assert {each.target for each in runs} == {bbquery.explain("photo.png", SIDES, max_queries=20).maps[0].target}
    assert {each.warnings for each in runs} == {()}
