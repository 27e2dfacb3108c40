"""What counts as found, by command line: a class to reach, criteria, both norms, and preprocessing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.scoring import criteria
from tests.support import drawing, records

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "function:call=tests.support.models.brighter_half,answers=labels,version=1"


@pytest.fixture(autouse=True)
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing."""
    drawing.make_blank(monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.full((16, 20, 3), 100, np.uint8)
    pixels[:, :10] += 10
    Pillow.fromarray(pixels).save(tmp_path / "photo.png")
    Pillow.fromarray(np.repeat(pixels[:, ::-1], 2, axis=0)).save(tmp_path / "start.png")
    return tmp_path / "photo.png"


def run(photo: Path, *more: str, oracle: str = MODEL) -> dict[str, Any]:
    fast = ("--attack", "lr_mifgsm:cells=4", "--max-queries", "300", "--yes", "--out", str(photo.parent / "out"))
    assert main(["attack", str(photo), "--oracle", oracle, *fast, *more]) == 0
    loaded: dict[str, Any] = json.loads((photo.parent / "out" / "attack.json").read_text())
    assert records.faults(loaded) == []
    return loaded


def test_a_class_is_reached_and_the_record_says_which(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict names both labels and both distances, each criterion, and each threshold; so does the record."""
    typed = ("--target-class", "golden retriever", "--start", str(photo.parent / "start.png"), "--linf", ".5,.001")
    written = run(photo, *typed, "--rmse", ".1", "--check-preprocessing", "16")

    said = capsys.readouterr().out
    assert "adversarial: 'golden retriever' in place of 'tabby cat' at RMSE" in said
    assert "s1 (first label changed): adversarial, 5 of 5; s2 (outside the clean labels): adversarial, 5 of 5" in said
    assert "s3 (no label in the WordNet subtree): adversarial, 5 of 5" in said
    assert "RMSE 0.1: yes" in said
    assert "L∞ 0.001: no" in said
    assert "of the 8 treatments under which the clean image is still not 'golden retriever'" in said
    goal = written["goal"]
    assert (goal["target_class"], goal["criterion"], goal["tau"]) == ("golden retriever", "s2", 0)
    assert len(goal["start"]) == 64
    assert "golden retriever" in goal["not_reached_while"]
    assert written["linf_success"] == {"0.5": True, "0.001": False}
    assert written["rmse"] <= written["linf"] <= 0.5
    assert written["preprocessing"][0]["treatment"] == "JPEG at quality 95"
    assert {name: each["verdict"] for name, each in written["criteria"].items()} == dict.fromkeys(
        ("s1", "s2", "s3"), "adversarial"
    )
    assert written["queries"]["sent"] <= 300


def test_without_a_goal_any_label_will_do(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of it is asked or reached where nothing is said, and the record says that too."""
    written = run(photo)

    said = capsys.readouterr().out
    assert "no longer 'tabby cat' but 'golden retriever' (5 of 5) at RMSE" in said
    assert written["verification"]["labels"] == {"golden retriever": 5}
    assert "preprocessing" not in said
    assert "L∞ 0" in said  # of what was found, with no threshold of it
    assert (written["preprocessing"], written["linf_success"]) == (None, {})
    assert (written["goal"]["target_class"], written["goal"]["start"]) == (None, None)


def test_preprocessing_counts_only_what_tells_of_the_change(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A treatment that costs the clean photo its label is no survival: the verdict names it as telling nothing."""
    Pillow.fromarray(np.full((16, 20, 3), 101, np.uint8)).save(photo)
    written = run(photo, "--check-preprocessing", "16", oracle=MODEL.replace("brighter_half", "odd_is_a_cat"))

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "preprocessing: " in line]
    telling = [each for each in written["preprocessing"] if each["clean"]["kept"]]
    survived = [each for each in telling if each["found"]["left"]]
    assert "one bit less" not in {each["treatment"] for each in telling}
    assert f"the change survives {len(survived)} of the {len(telling)} treatments under which the clean" in line
    assert "one bit less" in line.split("nothing is told by")[1]


def test_what_lies_beyond_every_distance_is_called_too_far(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An image within none of the distances is no success, and the first word of its verdict is not of one."""
    written = run(photo, "--rmse", ".0001")

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "no longer" in line]
    assert line.startswith("too far: no longer 'tabby cat' but 'golden retriever'")
    assert ", within none of the distances asked about (RMSE 0.0001)" in line
    assert written["success"] == {"0.0001": False}


def test_without_wordnet_the_reason_takes_one_sentence(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal says why S3 is unknown and what mends it; where WordNet was looked for is in the record alone."""

    def absent() -> None:
        message = "WordNet is absent: 'get it'. Looked in /here."
        raise UsageError(message)

    monkeypatch.setattr(criteria, "resolver", absent)
    written = run(photo)

    assert "s3 (no label in the WordNet subtree): unknown, WordNet is absent: 'get it'\n" in capsys.readouterr().out
    assert written["criteria"]["s3"]["unknown"] == "WordNet is absent: 'get it'. Looked in /here."


def test_what_cannot_be_judged_is_said(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A label that WordNet does not know has no subtree: S3 is unknown, in words, and null in the record."""
    oracle = "function:call=tests.support.models.sides,classes=qwxz|zxwq,version=1"
    written = run(photo, oracle=oracle)

    assert "s3 (no label in the WordNet subtree): unknown, WordNet does not know 'qwxz'" in capsys.readouterr().out
    assert written["criteria"]["s3"] == {
        "stands_while": None, "verdict": None, "clean": None, "found": None, "unknown": "WordNet does not know 'qwxz'",
    }  # fmt: skip


def test_a_class_that_the_image_has_already_is_not_attacked(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a result that says so; nothing says that the image lacks its label, or that the label wavers."""
    written = run(photo, "--target-class", "tabby cat")

    said = capsys.readouterr()
    assert "not attacked: the oracle says 'tabby cat' of the clean image already" in said.out
    assert "UNSTABLE" not in said.err
    assert (written["outcome"], written["criteria"]["s1"]["found"]) == ("not attacked", None)
    assert written["warnings"] == []


def test_the_record_tells_runs_that_report_otherwise_apart(photo: Path) -> None:
    """Another τ of the report, or thresholds of L∞, ask the same, and are another result: another folder's."""
    first, second = run(photo), run(photo, "--tau", ".5", "--force")

    assert first["run"] == second["run"]
    assert second["queries"]["sent"] == 0
    with pytest.raises(AssertionError):  # the folder holds another result
        run(photo, "--linf", ".1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--linf", "small"), "--linf 'small'"),
        (("--tau", "-1"), "--tau"),
        (("--target-class", "qwxz", "--score", "hard"), "qwxz"),
        (("--target-class", "golden retriever", "--start", "nowhere.png"), "nowhere.png"),
        (("--check-preprocessing", "5"), "take 16 queries"),
        (("--criterion", "s3", "--target-class", "dog"), "leave it out"),
    ],
)
def test_impossible_goals_are_usage_errors(
    photo: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be is said before a query, with exit code 2."""
    typed = ["attack", str(photo), "--oracle", MODEL, "--max-queries", "300", "--yes", "--out", str(photo.parent / "o")]

    assert main([*typed, *options]) == 2
    assert said in capsys.readouterr().err


# --- degenerate cases ---


@pytest.mark.parametrize(
    ("model", "options", "code", "said"),
    [
        ("brighter_half", ("--target", "golden retriever"), 0, "not attacked: the oracle does not say"),
        ("always_a_cat", (), 0, "not found: every image that was asked and answered is still 'tabby cat'"),
        ("always_a_cat", ("--target-class", "dog"), 0, "not found: no image that was asked became 'dog'"),
        ("refuses", (), 3, "gave no answer to the clean image"),
        ("refuses", ("--target", "cat", "--target-class", "dog"), 3, "gave no answer to the clean image"),
        ("brighter_half", ("--max-queries", "11"), 2, "allow more with --max-queries"),
        ("brighter_half", ("--max-queries", "12"), 0, ""),
        ("brighter_half", ("--max-queries", "12", "--target-class", "golden retriever"), 0, ""),
    ],
)
def test_what_cannot_succeed_ends_with_words_and_its_exit_code(
    photo: Path, model: str, options: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Misclassified, constant, silent, or with next to no budget: none of it is an accident."""
    oracle = MODEL.replace("brighter_half", model)
    typed = ["attack", str(photo), "--oracle", oracle, "--attack", "surfree", "--max-queries", "60", "--yes"]

    assert main([*typed, "--out", str(photo.parent / "out"), *options]) == code

    printed = capsys.readouterr()
    assert said in printed.out + printed.err


@pytest.mark.parametrize(
    "pixels", [np.full((16, 16, 3), 127, np.uint8), np.zeros((8, 8, 3), np.uint8)], ids=["grey", "8"]
)
def test_a_photo_of_one_colour_or_of_eight_pixels_is_attacked(photo: Path, pixels: np.ndarray) -> None:
    """A photo without any texture, and the smallest that is read, end with a verdict and a whole record."""
    Pillow.fromarray(pixels).save(photo)

    written = run(photo, oracle=MODEL.replace("brighter_half", "not_brighter"))

    assert (written["status"], written["outcome"]) == ("complete", "adversarial")
