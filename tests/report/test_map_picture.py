"""The picture of an explained map: what could be chance is pale, what says nothing is stamped, and words fit."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.report import figure, sentence
from bbquery.report.figure import ROUNDED_UP, Page, blend, wrapped
from bbquery.report.map_picture import map_pixels, map_png
from bbquery.report.scale import scale, sureness
from bbquery.report.stamp import layer
from tests.support.explanations import explanation_of, map_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import TargetMap

SIDE = 24
GREY = np.full((SIDE, SIDE, 3), 128, np.uint8)
LEFT = np.broadcast_to(np.arange(SIDE) < SIDE // 2, (SIDE, SIDE))
RISING = np.linspace(-1, 1, SIDE * SIDE).reshape(SIDE, SIDE)
PALEST, SATURATED = 64, 100  # grey levels between a pixel's most and its least colour
CHANCE = map_of(RISING, error=np.full((SIDE, SIDE), 9.0))


def chroma(pixels: NDArray[Any]) -> NDArray[Any]:
    """How colourful pixels (H, W, 3) are, in grey levels: 0 of a grey one."""
    return np.asarray(np.ptp(pixels.astype(int), axis=-1))


def decoded(data: bytes) -> NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("value", [1.0, -1.0, 0.4])
def test_places_that_could_be_chance_are_paler(value: float) -> None:
    """Of two places of one value, that whose interval includes 0 is less saturated, and still coloured."""
    values = np.full((SIDE, SIDE), value)
    values[0, 0] = 1.0

    sure = sureness(values, np.where(LEFT, 0.1, 2.0), "", SIDE)
    found = chroma(blend(GREY, values, scale(values, signed=True), signed=True, sure=sure))

    assert 0 < found[5, -1] < found[5, 0] / 2


def test_a_reduced_map_is_as_sure_as_its_pixels_are() -> None:
    """What is drawn of several pixels is as pale as the share of them that could be chance."""
    half = np.where(np.arange(4) % 2, 2.0, 0.5) * np.ones((4, 1))

    sure = sureness(np.ones((4, 4)), half, "", 2)

    assert sure is not None
    np.testing.assert_array_equal(sure, np.full((2, 2), 0.5))
    assert sureness(np.ones((4, 4)), None, "", 2) is None


@pytest.mark.parametrize(
    "m",
    [
        CHANCE,
        map_of(np.zeros((SIDE, SIDE))),
        map_of(RISING, answered=0),
        map_of(np.abs(RISING), answered=0, signed=False),
    ],
    ids=["chance", "constant", "unanswered", "unsigned"],
)
def test_a_stamped_picture_has_no_saturated_pixel(m: TargetMap) -> None:
    """Picture and pixels of a map that must not be believed are pale all over, its colour bar too."""
    explanation = explanation_of(m, photo=GREY)
    assert sentence.stamp(explanation, m)

    for drawn in (decoded(map_png(explanation, m)), map_pixels(explanation, m, 99)):
        assert chroma(drawn).max() <= PALEST


def test_a_good_picture_has_saturated_pixels_and_no_stamp() -> None:
    """The test above can fail: a map that is sure is saturated, and nothing is written on it."""
    m = map_of(RISING, error=np.full((SIDE, SIDE), 0.01))
    explanation = explanation_of(m, photo=GREY)

    assert chroma(decoded(map_png(explanation, m))).max() > SATURATED
    assert map_pixels(explanation, m, 99).shape == (SIDE, SIDE, 3)
    plain = blend(GREY, RISING, scale(RISING, signed=True), signed=True)
    assert chroma(plain).max() == chroma(map_pixels(explanation, m, 99)).max()


@pytest.mark.parametrize(("height", "width"), [(160, 160), (40, 240), (240, 40), (672, 446)])
@pytest.mark.parametrize("text", list(sentence.STAMPS.values()))
def test_a_stamp_fits_a_picture_of_any_shape_and_crosses_it(height: int, width: int, text: str) -> None:
    """It is within the picture, reaches over more than half of its longer side, and has no colour."""
    drawn = layer(text, width, height)

    assert drawn.shape == (height, width, 4)
    inked = np.argwhere(drawn[:, :, 3] > 0)
    assert inked.min() > 0
    assert (inked.max(axis=0) < np.array([height, width]) - 1).all()
    assert np.ptp(inked, axis=0).max() > max(height, width) / 2
    assert chroma(drawn[:, :, :3]).max() == 0


def test_a_thumbnail_of_a_tiny_photo_is_enlarged_for_its_stamp() -> None:
    """A stamp on 8 pixels could not be read."""
    tiny = map_of(np.zeros((8, 8)))

    assert min(map_pixels(explanation_of(tiny), tiny, 240).shape[:2]) >= 160


@pytest.mark.parametrize("label", ["tiger cat", "<img onerror>", "$\\frac$ $x_2$", "a\u202eb", "W" * 90, "word " * 40])
@pytest.mark.parametrize("size", [(8, 8), (240, 40), (40, 240)])
def test_words_stay_on_the_page(label: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Caption, first answer and unit are all written, and no line of them is wider than its column."""
    lines: list[str] = []
    monkeypatch.setattr(Page, "text", lambda *a, **_: lines.extend(a[3]))
    m = map_of(np.linspace(-1, 1, size[0] * size[1]).reshape(size), error=np.full(size, 0.1), names=(label, "b"),
               target="#0", clean=None)  # fmt: skip

    map_png(explanation_of(m, names=(label, "b", "c")), m)

    widest = figure.Layout.of(*size).width
    assert all(figure._width(line, figure.SMALL) <= widest * ROUNDED_UP for line in lines)
    written = " ".join(lines).replace(" ", "")
    for words in (sentence.caption(explanation_of(m), m), sentence.plain_unit(m), "could be chance"):
        assert words.replace(" ", "") in written


@given(text=st.text("Wil. “”éЖ38%", max_size=120), width=st.floats(0.5, 6), points=st.sampled_from([8, 10]))
def test_wrapped_lines_are_no_wider_than_their_column(text: str, width: float, points: int) -> None:
    """Whatever the letters, a line fits by their own widths, and up to the last line no letter is lost."""
    lines = wrapped(text, points, width)

    assert all(figure._width(line, points) <= width for line in lines)
    if len(lines) < figure.MOST_LINES:
        assert "".join(lines).replace(" ", "") == "".join(text.split())


@pytest.mark.parametrize("text", ["W" * 30, "il" * 40, "how much the probability rises", "Ж“é” 38 % → 3 %"])
def test_letters_are_drawn_no_wider_than_they_are_measured(text: str) -> None:
    """What is measured is what is drawn: the ink of a line ends where its width says, or before."""
    page = Page(12, 0.5)

    page.text(0, 0.1, [text])

    inked = np.flatnonzero((decoded(page.png()) < 200).any(axis=(0, 2)))
    assert 0.85 < np.ptp(inked) / 160 / figure._width(text, 8) < 1
