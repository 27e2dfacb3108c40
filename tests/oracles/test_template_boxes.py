"""Templates that say where a response has the boxes of its labels, and in which unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import bbquery
import oracles.http
from bbquery.errors import MalformedAnswer, UnknownName, UsageError
from bbquery.images.boxes import Box
from bbquery.types import Label, Labels, Reply
from oracles._http.template.boxes import ACROSS, DOWN, Size
from oracles._http.template.file import read_template
from oracles._http.wire.fields import WireError
from tests.support.http_helpers import saying, serving
from tests.support.template_servers import decoded

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

IMAGE = Size(height=40, width=80)
CORNERS = {name: f"$[*].box[{place}]" for place, name in enumerate(("left", "top", "right", "bottom"))}
LENGTHS = {name: f"$[*].box[{place}]" for place, name in enumerate(("left", "top", "width", "height"))}


def template(box: dict[str, Any], **answer: Any) -> dict[str, Any]:
    """Return a template of labels, scores and boxes."""
    usual = {"kind": "labels", "names": "$[*].label", "scores": "$[*].score", "box": box}
    return {"request": {"body": "raw"}, "answer": usual | answer}


def read(box: dict[str, Any], response: Any, size: Any = IMAGE, **answer: Any) -> Any:
    """Return what a template makes of a response to an image of this size."""
    reader = read_template(template(box, **answer)).reader
    (item,) = reader.split(json.dumps(response).encode(), [size])
    return reader.answer(item)


def one(*numbers: Any) -> list[dict[str, Any]]:
    return [{"label": "cat", "score": 0.5, "box": list(numbers)}]


# --- known answers ---


@pytest.mark.parametrize(
    ("paths", "unit", "numbers"),
    [
        (CORNERS, "pixels", (20, 10, 60, 40)),
        (CORNERS, "shares", (0.25, 0.25, 0.75, 1)),
        (CORNERS, 1000, (250, 250, 750, 1000)),
        (LENGTHS, "pixels", (20, 10, 40, 30)),
        (LENGTHS, "shares", (0.25, 0.25, 0.5, 0.75)),
        ({"center_x": "$[*].box[0]", "center_y": "$[*].box[1]", "width": "$[*].box[2]", "height": "$[*].box[3]"},
         "pixels", (40, 25, 40, 30)),
        ({"top": "$[*].box[0]", "left": "$[*].box[1]", "height": "$[*].box[2]", "right": "$[*].box[3]"},
         "pixels", (10, 20, 30, 60)),
    ],
)  # fmt: skip
def test_one_box_in_every_form(paths: dict[str, str], unit: Any, numbers: tuple[float, ...]) -> None:
    """Corners, a corner and lengths, a middle and lengths, rows first: all of them are the same box."""
    assert read({"unit": unit, **paths}, one(*numbers)) == Labels((Label("cat", 0.5, Box.of(0.25, 0.25, 0.75, 1)),))


def test_boxes_may_stand_apart_from_names() -> None:
    """A row for each box, as servers of tensors give them, or a column for each number; labels are sorted after."""
    names = {"names": "$.classes[*]", "scores": "$.scores[*]"}
    rows = {"classes": ["cat", "dog"], "scores": [0.25, 0.75], "boxes": [[0, 0, 20, 40], [0, 40, 40, 80]]}
    of_rows = {"unit": "pixels"} | {
        name: f"$.boxes[*][{place}]" for place, name in enumerate(("top", "left", "bottom", "right"))
    }
    columns = {**rows, "x": [0, 40], "y": [0, 0], "w": [40, 40], "h": [20, 40]}
    of_columns = {"unit": "pixels", "left": "$.x[*]", "top": "$.y[*]", "width": "$.w[*]", "height": "$.h[*]"}

    wanted = Labels((Label("dog", 0.75, Box.of(0.5, 0, 1, 1)), Label("cat", 0.25, Box.of(0, 0, 0.5, 0.5))))

    assert read(of_rows, rows, **names) == wanted == read(of_columns, columns, **names)


def test_some_labels_may_have_no_box_and_a_list_may_be_empty() -> None:
    """A label of the whole image beside those of things; but a path at which no label has a box is a wrong one."""
    found = [*one(0, 0, 80, 40), {"label": "street", "score": 0.25}, {"label": "day", "score": 0.125, "box": None}]
    box = {"unit": "pixels", **CORNERS}

    assert [label.box for label in read(box, found).labels] == [Box.of(0, 0, 1, 1), None, None]
    assert read(box, []) == Labels(())
    with pytest.raises(WireError, match=r"no label has a box at \$\[\*\]\.box\[0\], \$"):
        read(box, found[1:])


def test_what_passes_the_border_a_little_is_cut_off() -> None:
    """Detectors do that: a tenth of the side is allowed, and not more."""
    assert read({"unit": "pixels", **CORNERS}, one(-0.02, 1, 88, 39.5)).labels[0].box == (0, 1 / 40, 1, 39.5 / 40)


@pytest.mark.parametrize(
    ("unit", "numbers", "fault"),
    [
        ("pixels", (60, 10, 20.00000001, 40), r"'cat' is left 60, right 20.00000001, top 10, bottom 40: its left must"),
        ("pixels", (20, 40, 60, 10), r"nor its top below its bottom"),
        ("pixels", (20, 10, 88.00000001, 40), r"right 88\.00000001.*outside the image of 80 × 40 pixels"),
        ("pixels", (81, 10, 85, 40), r"left 81.*outside the image of 80 × 40 pixels: is answer\.box\.unit right\?"),
        ("pixels", (-8.01, 0, 80, 40), r"left -8\.01, .*outside"),
        ("shares", (20, 10, 60, 40), r"outside the image of shares 0 to 1"),
        (1000, (20, 10, 60, 1101), r"bottom 1101, outside the image of 0 to 1000"),
        ("pixels", (0.25, 0.25, 0.75, 1), r"all within the first pixel: say unit = \"shares\""),
        ("pixels", (0, 0, "80", 40), r"right '80', top 0, bottom 40: each must be a finite number"),
        ("pixels", (0, 0, True, 40), r"right True"),
        ("pixels", (0, 0, None, 40), r"right None"),
        ("pixels", (0, 0, 80), r"bottom None: each must be a finite number"),
        ("pixels", (0, 0, 10**400, 40), r"each must be a finite number"),
    ],
)
def test_a_box_that_is_none_is_named_with_its_numbers(unit: Any, numbers: tuple[Any, ...], fault: str) -> None:
    """As they came, not rounded: a box beyond the image or upside down is of another form than the template says."""
    with pytest.raises(WireError, match=fault):
        read({"unit": unit, **CORNERS}, one(*numbers))


def test_as_many_boxes_as_labels_are_needed() -> None:
    """Rows or columns that are too few are not shared out by guess."""
    names = {"names": "$.classes[*]", "scores": "$.scores[*]"}
    found = {"classes": ["cat", "dog"], "scores": [0.5, 0.5], "boxes": [[0, 0, 1, 1]], "x": [0], "y": [0, 1]}
    rows = {"unit": "shares"} | {n: f"$.boxes[*][{i}]" for i, n in enumerate(("left", "top", "right", "bottom"))}
    columns = {"unit": "shares", "left": "$.x[*]", "right": "$.x[*]", "top": "$.y[*]", "bottom": "$.y[*]"}

    with pytest.raises(WireError, match="1 boxes for 2 labels"):
        read(rows, found, **names)
    with pytest.raises(WireError, match="the numbers of boxes differ in count: 1 of left, 1 of right, 2 of top"):
        read(columns, found, **names)


# --- any box in any form ---


@given(
    edges=st.tuples(*[st.floats(0, 1)] * 4),
    size=st.builds(Size, height=st.integers(2, 5000), width=st.integers(2, 5000)),
    unit=st.one_of(st.just("shares"), st.sampled_from([1, 100, 1000.0]), st.just("pixels")),
    across=st.sampled_from(ACROSS),
    down=st.sampled_from(DOWN),
)
def test_any_box_comes_back_from_any_form(
    edges: tuple[float, ...], size: Size, unit: Any, across: tuple[str, str], down: tuple[str, str]
) -> None:
    """To rounding, whatever the image's size, the unit and the numbers that say it."""
    left, right, top, bottom = *sorted(edges[:2]), *sorted(edges[2:])
    width, height = (size.width, size.height) if unit == "pixels" else (unit, unit) if unit != "shares" else (1, 1)
    if unit == "pixels":  # what is all within the first pixel is taken for shares
        right, bottom = max(right, 1.5 / width), max(bottom, 1.5 / height)
    said = {
        "left": left * width, "right": right * width, "width": (right - left) * width,
        "center_x": (left + right) / 2 * width, "top": top * height, "bottom": bottom * height,
        "height": (bottom - top) * height, "center_y": (top + bottom) / 2 * height,
    }  # fmt: skip
    paths = {name: f"$[*].{name}" for name in (*across, *down)}

    answer = read({"unit": unit, **paths}, [{"label": "cat", "score": 0.5, **said}], size)

    assert answer.labels[0].box == pytest.approx((left, top, right, bottom), abs=1e-9)


# --- templates ---


@pytest.mark.parametrize(
    ("box", "error", "fault"),
    [
        ({**CORNERS}, UsageError, r"the template needs answer\.box\.unit"),
        ({"unit": "pixel", **CORNERS}, UnknownName, r"answer\.box\.unit 'pixel'; known: pixels, shares"),
        ({"unit": 0, **CORNERS}, UsageError, r"answer\.box\.unit must be pixels, shares or a number above 0, not 0"),
        ({"unit": "pixels", "left": "$.x"}, UsageError, r"takes left and right, or left and width.*gives left"),
        ({"unit": "pixels", **CORNERS, "width": "$.w"}, UsageError, r"the template gives left and right and width"),
        ({"unit": "pixels", "left": "$.x", "right": "$.y"}, UsageError, r"takes top and bottom.*gives none"),
        ({"unit": "pixels", **CORNERS, "xmin": "$.x"}, UnknownName, r"key of answer\.box 'xmin'"),
        ({"unit": "pixels", **CORNERS, "left": "x"}, UsageError, r"answer\.box\.left must be a JSON path"),
    ],
)
def test_a_setting_that_will_not_do_is_named(box: dict[str, Any], error: type[Exception], fault: str) -> None:
    """Before anything is sent."""
    with pytest.raises(error, match=fault):
        read_template(template(box))


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "labels", "mapping": "$"},
        {"kind": "probabilities", "names": "$[*].n", "scores": "$[*].s", "classes": ["a"]},
        {"kind": "text", "text": "$.t"},
    ],
)
def test_only_labels_have_boxes(answer: dict[str, Any]) -> None:
    """Of other answers they would be read in vain."""
    box = {"unit": "pixels", **CORNERS}
    with pytest.raises(UsageError, match=r"answer\.box says where the things at answer\.names are"):
        read_template({"request": {"body": "raw"}, "answer": {**answer, "box": box}})


async def test_each_image_of_a_request_is_measured_by_its_own_size() -> None:
    """Pixels are those of the image that a label is of, and another form is another identity."""
    document = {"inputs": {"${each}": "${image_base64}"}}
    given: Any = template({"unit": "pixels", **CORNERS}, items="$[*]")
    given["request"] = {"body": "json", "largest_batch": 2, "json": document}
    async with serving(saying([one(0, 0, 10, 10), one(0, 0, 10, 10)])) as url:
        oracle = await oracles.http.connect(url=url, template=given)
        images = [np.zeros((side, 20, 3), np.uint8) for side in (10, 40)]
        replies = await oracle.answer([oracle.encode(image) for image in images])
        other = await oracles.http.connect(url=url, template=template({"unit": "pixels", **LENGTHS}))
        await oracle.aclose()
        await other.aclose()

    boxes = [reply.answer.labels[0].box for reply in replies if isinstance(reply, Reply)]  # type: ignore[union-attr]  # labels
    assert boxes == [(0, 0, 0.5, 1), (0, 0, 0.5, 0.25)]
    assert oracle.capabilities.identity["template"] != other.capabilities.identity["template"]


async def test_an_unreadable_box_names_the_answer_and_was_paid_for() -> None:
    """The person who wrote the template sees what the server said."""
    async with serving(saying(one(0, 0, 800, 40))) as url:
        oracle = await oracles.http.connect(url=url, template=template({"unit": "pixels", **CORNERS}))
        (outcome,) = await oracle.answer([oracle.encode(np.zeros((40, 80, 3), np.uint8))])
        await oracle.aclose()

    assert isinstance(outcome, MalformedAnswer)
    assert "the box of 'cat' is left 0, right 800, top 0, bottom 40, outside the image of 80 × 40 pixels" in str(
        outcome
    )
    assert outcome.cost is not None


async def test_one_object_of_several_is_explained_through_a_template(ledger: Ledger) -> None:
    """Its box comes in pixels, and the map is about that half of the photo."""

    async def handle(request: web.Request) -> web.StreamResponse:
        pixels = decoded(await request.read())
        return web.json_response(
            [
                {"label": "fox", "score": float(pixels[:, start:stop].mean() / 255), "box": [start, 0, stop, 40]}
                for start, stop in ((0, 30), (30, 60))
            ]
        )

    async with serving(handle) as url:
        oracle = await oracles.http.connect(url=url, template=template({"unit": "pixels", **CORNERS}))
        found = await bbquery.explain_async(
            np.full((40, 60, 3), 128, np.uint8), oracle,
            target="fox@left", score="box", method="rise", max_queries=60, ledger=ledger,
        )  # fmt: skip
        await oracle.aclose()

    (m,) = found.maps
    assert m.values[:, :30].mean() > abs(m.values[:, 30:].mean()) * 3
