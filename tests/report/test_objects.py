"""A target that is one object of several, in pictures, sentences, pages and records."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

import bbquery
from bbquery.images.boxes import Box
from bbquery.report import sentence
from bbquery.report.map_picture import map_pixels, map_png
from bbquery.report.outline import outlined
from bbquery.report.pages.parts import answer
from bbquery.types import Label, Labels
from oracles import function
from tests.support.explanations import explanation_of, map_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import Explanation
    from bbquery.ledger.ledger import Ledger

SIDE = 24
GREY = np.full((SIDE, SIDE, 3), 128, np.uint8)
RISING = np.linspace(-1, 1, SIDE * SIDE).reshape(SIDE, SIDE)
LEFT, RIGHT = Box.of(0.25, 0.25, 0.5, 0.75), Box.of(0.75, 0, 1, 0.5)
TWO = Labels((Label("bicycle", 0.75, RIGHT), Label("bicycle", 0.5, LEFT)))


def found(target: str, score: str = "box") -> Explanation:
    m = map_of(RISING, target=target, score=score, clean=TWO, names=("bicycle",))
    return explanation_of(m, photo=GREY, clean=TWO, answers="labels")


def decoded(data: bytes) -> NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("height", "width"), [(24, 24), (600, 900), (3, 40)])
def test_an_outline_lies_along_the_inside_of_its_box(height: int, width: int) -> None:
    """A dark and a light line, whatever is below them; the rest of the picture, and the picture given, stay."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    box = Box.of(0.25, 0, 0.75, 1)

    drawn = outlined(pixels, box)

    changed = (drawn != pixels).any(axis=2)
    columns = np.flatnonzero(changed.any(axis=0))
    assert (columns[0], columns[-1] + 1) == (round(0.25 * width), round(0.75 * width))
    assert set(np.unique(drawn)) <= {16, 128, 255}
    assert (drawn[0, round(0.25 * width)] == 16).all()
    assert (pixels == 128).all()
    assert outlined(pixels, None) is pixels


@pytest.mark.parametrize(
    "box", [Box.of(0, 0, 1, 1), Box.of(0, 0, 0.001, 0.001), Box.of(1, 1, 1, 1), Box.of(0.99, 0, 1, 1)]
)
def test_any_box_can_be_outlined(box: Box) -> None:
    """One that is smaller than a pixel is a dot."""
    assert (outlined(GREY, box) != GREY).any()


def test_the_map_shows_where_the_object_is() -> None:
    """Its box is outlined on photo and map; of another target nothing is."""
    bare = map_pixels(found("bicycle", "soft"), found("bicycle", "soft").maps[0], SIDE)
    boxed = map_pixels(found("bicycle#2"), found("bicycle#2").maps[0], SIDE)

    rows, columns = np.nonzero((bare != boxed).any(axis=2))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (6, 18, 6, 12)
    picture = decoded(map_png(found("bicycle#2"), found("bicycle#2").maps[0]))
    plain = decoded(map_png(found("bicycle", "soft"), found("bicycle", "soft").maps[0]))
    dark = [np.count_nonzero((each[100:] < 40).all(axis=2)) for each in (picture, plain)]  # below the caption
    assert dark[0] > dark[1]


def test_words_say_which_object_it_is() -> None:
    """The name and the box, in the caption as in headings."""
    explanation = found("bicycle@left")
    (m,) = explanation.maps

    assert sentence.named(m) == "the “bicycle” in the box [0.25,0.25,0.50,0.75]"
    assert sentence.verdict(explanation, m).startswith("Red places speak for the “bicycle” in the box [0.25,")
    assert "(score 0.5)" in sentence.verdict(explanation, m)
    assert sentence.named(found("bicycle", "soft").maps[0]) == "“bicycle”"


def test_answers_on_pages_have_their_boxes() -> None:
    """And a target that is a plain label is still marked."""
    lines = answer(TWO, found("bicycle").oracle, ["bicycle"]).lines

    assert [line.label for line in lines] == ["bicycle [0.75,0.00,1.00,0.50]", "bicycle [0.25,0.25,0.50,0.75]"]
    assert all(line.asked for line in lines)


def detector(image: NDArray[Any]) -> list[Label]:
    """Find two bicycles, each as sure as its place is bright."""
    scores = [float(image[:, part].mean()) / 255 for part in (slice(0, SIDE // 2), slice(SIDE // 2, SIDE))]
    return [Label("bicycle", score, box) for score, box in zip(scores, (LEFT, RIGHT), strict=True)]


def test_an_object_is_explained_by_its_own_place(ledger: Ledger, tmp_path: Path) -> None:
    """The map of each of two bicycles is positive on its own side alone, and the record says which object it is of."""
    photo = np.full((SIDE, SIDE, 3), 200, np.uint8)
    oracle = function.connect(detector, answers="labels", version="1")

    explanation = bbquery.explain(
        photo, oracle, target=["bicycle@left", "bicycle@right"], score="box", method="rise", max_queries=200,
        ledger=ledger,
    )  # fmt: skip

    left, right = (explanation[target] for target in ("bicycle@left", "bicycle@right"))
    half = SIDE // 2
    assert left[:, :half].mean() > 5 * abs(left[:, half:].mean())
    assert right[:, half:].mean() > 5 * abs(right[:, :half].mean())
    explanation.save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert [target["value"]["object"] for target in record["targets"]] == [
        {"name": "bicycle", "box": list(LEFT)},
        {"name": "bicycle", "box": list(RIGHT)},
    ]
    assert [label["box"] for label in record["clean_answer"]] == [list(LEFT), list(RIGHT)]
