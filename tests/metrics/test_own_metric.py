"""A metric is one file: dropped into the package, or a person's own, it is found, asked, recorded and tested."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery.metrics
from bbquery import load
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.jobs.evaluate.choice import Choice
from bbquery.metrics import Metric
from tests.conformance import test_metrics as conformance
from tests.support import own_metric
from tests.support.own_metric import PeakLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
OWN = "tests.support.own_metric:PeakLoss"
FEW = ("--steps", "4", "--copies", "6")
PROMISES = [
    promise
    for name, promise in vars(conformance).items()
    if name.startswith("test_") and list(inspect.signature(promise).parameters) in (["name"], ["name", "of"])
]


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new file among the metrics; its name."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    shutil.copy(own_metric.__file__, folder / "peak_loss.py")
    monkeypatch.setattr(bbquery.metrics, "__path__", [*bbquery.metrics.__path__, str(folder)])
    yield "peak_loss"
    sys.modules.pop("bbquery.metrics.peak_loss", None)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A map and its photo: the left half speaks for "left", and most of all its middle."""
    pixels = np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)
    values = np.where(np.arange(32) < 16, 1.0, -1.0) + np.zeros((24, 1))
    values[12, 8] = 2
    Pillow.fromarray(pixels).save(tmp_path / "photo.png")
    np.save(tmp_path / "map.npy", values)
    return [str(tmp_path / "map.npy"), str(tmp_path / "photo.png")]


def evaluated(files: list[str], out: Path, metrics: str, *more: str) -> dict[str, Any]:
    command = ["evaluate", *files, "--oracle", SIDES, "--target", "left", "--out", str(out), "--metrics", metrics]
    assert main([*command, *FEW, *more]) == 0
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return found


def test_a_file_dropped_in_is_listed_and_explained(dropped: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The list and the help know it from the file alone."""
    assert main(["list", "metrics"]) == 0
    assert main(["help", "metric", dropped]) == 0

    said = capsys.readouterr().out
    assert f"{dropped:15}  What the map's peak is worth" in said
    assert "peak_loss: score, higher is better; compare with the loss at a random place" in said
    assert re.search(r"reach +whole number.*default 2", said)


def test_a_file_dropped_in_is_asked_and_recorded(dropped: str, files: list[str], tmp_path: Path) -> None:
    """Named with an option, beside a metric of ours: the record has its number, and the photo is paid once."""
    found = evaluated(files, tmp_path / "out", f"srg,{dropped}:reach=3", "--fill", "black")

    (mine,) = [each for each in found["metrics"] if each["metric"] == "peak_loss"]
    pixels = np.array(Pillow.open(files[1])).astype(float)
    hidden = pixels.copy()
    hidden[9:16, 5:12] = 0
    left, right = pixels[:, :16].mean(), pixels[:, 16:].mean()
    expected = left / (left + right) - hidden[:, :16].mean() / (hidden[:, :16].mean() + right)
    assert mine["value"] == pytest.approx(expected, rel=1e-9)
    assert (mine["fill"], mine["steps"], mine["queries"], mine["unanswered"]) == ("black", 1, 2, 0)
    assert found["queries"]["sent"] == 1 + 8 + 1
    assert [each["metric"] for each in found["metrics"]] == ["deletion", "insertion", "srg", "peak_loss"]


def test_a_file_dropped_in_changes_no_run_that_does_not_name_it(dropped: str) -> None:
    """What is taken by default stays, unless the metric says otherwise."""
    assert dropped in load.names("metric")
    assert Choice().chosen == ("srg", "aopc", "infidelity", "mu_fidelity")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_file_dropped_in_is_held_to_every_promise(promise: Callable[..., None], dropped: str) -> None:
    """The conformance suite enumerates it, and it passes."""
    takes = inspect.signature(promise).parameters
    for of in conformance.CASES if "of" in takes else [None]:
        promise(dropped, of) if of else promise(dropped)

    assert len(PROMISES) >= 10


def test_the_suite_enumerates_what_load_finds(dropped: str) -> None:
    """A name that load knows is a case of the suite: its list is load's."""
    assert list(load.names("metric")) == sorted([*conformance.NAMES, dropped])


def test_a_metric_of_ones_own_needs_no_place_among_ours(files: list[str], tmp_path: Path) -> None:
    """By module and attribute, with its options, it is asked and recorded like any other; its run has a name."""
    one, other = (evaluated(files, tmp_path / f"{reach}", f"{OWN}:reach={reach},fill=black,aopc") for reach in (1, 3))

    assert [each["metric"] for each in one["metrics"]] == ["aopc", "peak_loss"]
    assert 0 < one["metrics"][1]["value"] < other["metrics"][1]["value"]
    assert one["run"] != other["run"]
    assert f"{OWN}:reach=1,fill=black" in one["choice"]


def test_a_metric_may_be_an_object() -> None:
    """From Python it is given as it is, and options that all share are none of its business."""
    choice = Choice(names=(PeakLoss(reach=1), "srg"), fill="black", steps=2)

    assert choice.chosen == ("srg", "PeakLoss(reach=1, fill='grey')")
    assert choice.queries == 1 + 4 + 1


@pytest.mark.parametrize(
    "name", ["tests.support.own_metric:np", "collections:OrderedDict", "tests.support.models:sides"]
)
def test_what_is_no_metric_is_refused(name: str) -> None:
    """The refusal says what a metric is, or what cannot be made."""
    with pytest.raises(UsageError):
        load.metric(name)

    assert not isinstance(object(), Metric)
