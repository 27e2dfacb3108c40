"""Where a map's sign is known, drawn."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

import bbquery.report
from bbquery.errors import MissingExtra, UsageError
from bbquery.report.figure import blend
from bbquery.report.interval import AGAINST, FOR, STAMPED, interval_png, shares, signs
from bbquery.report.scale import scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

pytestmark = pytest.mark.slow

GREY = np.full((6, 8, 3), 128, dtype=np.uint8)
VALUES = np.zeros((6, 8))
VALUES[0], VALUES[1], VALUES[2], VALUES[5] = 2.0, -2.0, 0.9, np.nan
HALF = np.where(np.isnan(VALUES), np.nan, 1.0)
TEXT = {"title": "cat", "unit": "probability"}


def picture(photo: NDArray[np.uint8], values: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.uint8]:
    return decoded(interval_png(photo, values, half, **TEXT))


def decoded(png: bytes) -> NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(png)) as image:
        assert set(image.info) <= {"dpi"}
        return np.asarray(image.convert("RGB"))


def test_a_sign_is_coloured_only_where_it_is_known() -> None:
    """Red for the target, blue against it, grey where the interval includes 0, paler where nothing was shown."""
    pixels = signs(GREY, VALUES, HALF).astype(int)

    favour, against, within, nothing, unseen = (pixels[row, 0] for row in (0, 1, 2, 3, 5))
    assert favour[0] - favour[2] > 50
    assert against[2] - against[0] > 50
    assert np.ptp(within) == np.ptp(nothing) == np.ptp(unseen) == 0
    np.testing.assert_array_equal(within, nothing)
    assert unseen[0] > within[0] > 128


def test_the_two_signs_differ_in_lightness() -> None:
    """Printed in grey, or seen without red-green vision, for and against keep a clear distance."""
    lightness = [np.array(colour) @ [0.299, 0.587, 0.114] for colour in (FOR, AGAINST)]

    assert lightness[1] - lightness[0] > 50


def test_the_legend_says_how_much_is_known() -> None:
    """Shares are of what the model was shown, and add up."""
    assert shares(VALUES, HALF) == (
        "red, for the target: 20 %", "blue, against the target: 20 %", "grey, could be chance: 60 %",
    )  # fmt: skip
    assert shares(np.full((2, 2), np.nan), np.full((2, 2), np.nan)) == ("the map has no value anywhere",)


def chroma(pixels: NDArray[np.uint8]) -> int:
    """How colourful the most colourful pixel is, in grey levels: 0 of a grey one."""
    return int(np.ptp(pixels.astype(int), axis=-1).max())


def test_the_interval_is_quieter_than_the_map() -> None:
    """No pixel of it is more saturated than the map's strongest, and with a stamp than a pale one."""
    limits = scale(VALUES, signed=True)
    strongest = chroma(blend(GREY, VALUES, limits, signed=True))
    palest = chroma(blend(GREY, VALUES, limits, signed=True, sure=np.zeros(VALUES.shape)))

    plain, stamped = (interval_png(GREY, VALUES, HALF, **TEXT, stamp=stamp) for stamp in ("", "COULD BE CHANCE"))

    assert palest < chroma(decoded(plain)) < strongest
    assert chroma(signs(GREY, VALUES, HALF, opacity=STAMPED)) <= palest
    assert chroma(decoded(stamped)) < strongest


def test_equal_input_gives_the_same_interval_picture() -> None:
    """A picture holds no time and no chance: it can be compared by its bytes."""
    assert interval_png(GREY, VALUES, HALF, **TEXT) == interval_png(GREY, VALUES, HALF, **TEXT)


@pytest.mark.parametrize("size", [(8, 8), (1700, 1100), (400, 60), (60, 400), (8, 5000)])
def test_an_interval_of_any_photo_fits_a_page(size: tuple[int, int]) -> None:
    """Tiny, huge, tall, wide: 300 to 1600 pixels on a side, with a white margin all around."""
    values = np.linspace(-1, 1, size[0] * size[1]).reshape(size)

    page = picture(np.zeros((*size, 3), dtype=np.uint8), values, np.full(size, 0.5))

    assert min(page.shape[:2]) >= 300
    assert max(page.shape[:2]) <= 1600
    border = np.concatenate([page[:30].ravel(), page[-20:].ravel(), page[:, :30].ravel(), page[:, -30:].ravel()])
    assert border.min() == 255


@pytest.mark.parametrize("half", [0.0, 1.0, np.nan])
def test_an_interval_that_is_the_same_everywhere_is_drawn(half: float) -> None:
    """Widths without structure, zero or unknown give a picture, not an error or a warning."""
    assert picture(GREY, np.where(np.isnan(half), np.nan, VALUES), np.full(VALUES.shape, half)).shape[2] == 3


def test_widths_that_hardly_differ_look_alike() -> None:
    """The scale of the widths begins at 0: a difference of a thousandth is no contrast."""
    alike = picture(GREY, VALUES, np.linspace(1, 1.001, 48).reshape(6, 8))
    differing = picture(GREY, VALUES, np.linspace(0, 1, 48).reshape(6, 8))
    panel = slice(150, 400), slice(alike.shape[1] - 300, alike.shape[1] - 100)

    alike_by, differing_by = (int(np.ptp(each[panel], axis=(0, 1)).max()) for each in (alike, differing))
    assert 8 * alike_by < differing_by


def test_an_interval_of_another_map_is_refused() -> None:
    """A width for each value, or it is the caller's mistake."""
    with pytest.raises(UsageError, match="not of a map"):
        interval_png(GREY, VALUES, HALF[:3], **TEXT)


@pytest.mark.parametrize("part", ["interval", "progress", "curves", "overlaid", "comparison"])
def test_no_picture_without_its_extra(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is not installed, the person learns what to install."""
    from bbquery.report import comparison, curves, progress

    for module in ("figure", "tiles", "curves_figure", "agreement_figure"):
        monkeypatch.delitem(sys.modules, f"bbquery.report.{module}", raising=False)
        monkeypatch.delattr(bbquery.report, module, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    drawings: dict[str, Callable[[], bytes]] = {
        "interval": lambda: interval_png(GREY, VALUES, HALF, **TEXT),
        "progress": lambda: progress.progress_png(GREY, [], **TEXT),
        "curves": lambda: curves.curves_png(None, title="", caption=""),  # type: ignore[arg-type] # never looked at
        "overlaid": lambda: curves.overlaid_curves_png({"a": None}, title="", caption=""),  # type: ignore[dict-item] # likewise
        "comparison": lambda: comparison.sheet_png(None),  # type: ignore[arg-type] # likewise
    }

    with pytest.raises(MissingExtra, match=r"bbquery\[report\]"):
        drawings[part]()
