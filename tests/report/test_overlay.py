"""Maps drawn on photos."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import bbquery.report
from bbquery.errors import MissingExtra, UsageError
from bbquery.report import figure
from bbquery.report.figure import Layout, blend, ramp
from bbquery.report.overlay import LONGEST_THUMBNAIL, overlaid, overlay_png
from bbquery.report.scale import LUMA, block_means, scale
from tests.support.images import photo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT: dict[str, Any] = {"title": "cat", "caption": "500 queries", "unit": "probability"}
LEVELS = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf])


def map_of(height: int = 40, width: int = 60) -> NDArray[np.float64]:
    """A signed map of the photo's left part only."""
    values = np.random.default_rng(8).normal(size=(height, width))
    values[:, width // 2 :] = np.nan
    return values


def drawn(photo: NDArray[np.uint8], values: NDArray[np.float64], *, signed: bool = True, **text: str) -> NDArray[Any]:
    """The decoded picture, (H, W, 3)."""
    return pixels_of(overlay_png(photo, values, signed=signed, **{**TEXT, **text}))


def pixels_of(png: bytes) -> NDArray[Any]:
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))


# --- the picture as a whole ---


def test_equal_input_gives_equal_bytes() -> None:
    """A picture holds no time and no chance: it can be compared by its bytes."""
    first, second = (overlay_png(photo_of(40, 60), map_of(), signed=True, **TEXT) for _ in range(2))

    assert first == second


def test_a_picture_names_neither_time_nor_tool() -> None:
    """The file holds pixels and their density, no other mark."""
    png = overlay_png(photo_of(40, 60), map_of(), signed=True, **TEXT)

    assert set(PIL.Image.open(io.BytesIO(png)).info) <= {"dpi"}


@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (3000, 4000), (400, 100), (100, 400), (8, 5000), (5000, 8), (1601, 1599)]
)
def test_every_photo_gives_a_sensible_page(height: int, width: int) -> None:
    """Tiny, huge, tall, wide: the page is 400 to 1600 pixels on a side, with a white margin all around."""
    values = np.linspace(-1, 1, height * width).reshape(height, width)

    page = drawn(np.zeros((height, width, 3), dtype=np.uint8), values, caption="words " * 300, title="word " * 200)

    assert min(page.shape[:2]) >= 400
    assert max(page.shape[:2]) <= 1600
    border = np.concatenate([page[:30].ravel(), page[-20:].ravel(), page[:, :30].ravel(), page[:, -30:].ravel()])
    assert border.min() == 255


def test_a_large_photo_is_reduced_with_its_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn has at most 1600 pixels on a side, however large the photo; a smaller one is drawn as it is."""
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def draw(photo: NDArray[np.uint8], values: NDArray[np.float64], **_: object) -> bytes:
        shapes.append((photo.shape, values.shape))
        return b""

    monkeypatch.setattr(figure, "draw", draw)

    for height, width in ((1600, 9), (1601, 9), (30, 4801)):
        overlay_png(photo_of(height, width), np.zeros((height, width)), signed=True, **TEXT)

    assert shapes == [((1600, 9, 3), (1600, 9)), ((801, 5, 3), (801, 5)), ((8, 1201, 3), (8, 1201))]


@pytest.mark.parametrize(("height", "width", "stacked"), [(300, 450, False), (300, 200, False), (300, 600, True)])
def test_a_photo_keeps_its_proportions(height: int, width: int, stacked: bool) -> None:
    """A photo is drawn in its own proportions, beside its map unless it is wide."""
    layout = Layout.of(height, width)

    assert layout.panel[0] / layout.panel[1] == pytest.approx(width / height)
    assert layout.stacked is stacked
    assert not layout.stretched


def test_an_extreme_photo_is_stretched_and_says_so() -> None:
    """A photo that would be a mere line is stretched to be seen."""
    assert Layout.of(8, 4000).stretched
    assert Layout.of(8, 4000).panel[0] / Layout.of(8, 4000).panel[1] == pytest.approx(6)


@pytest.mark.parametrize(
    "text",
    ["from $\\frac to $6, a_b^c", "猫 \U0001f431 é", "line\none\ttwo\x00\x1f\u2003", "\udcff", "", "w" * 5000],
    ids=["markup", "other scripts", "control", "surrogate", "empty", "long"],
)
def test_any_text_is_drawn(text: str) -> None:
    """Whatever a label or a file name holds is drawn as it is, without an error or a warning."""
    assert drawn(photo_of(40, 60), map_of(), title=text, caption=text, unit=text).shape[2] == 3


@pytest.mark.parametrize("part", ["title", "caption", "unit"])
def test_every_text_is_on_the_page(part: str) -> None:
    """Title, caption and unit each leave ink."""
    empty: dict[str, Any] = dict.fromkeys(TEXT, "")

    bare = overlay_png(photo_of(40, 60), map_of(), signed=True, **empty)
    with_text = overlay_png(photo_of(40, 60), map_of(), signed=True, **{**empty, part: "word"})

    assert pixels_of(bare).shape != pixels_of(with_text).shape or (pixels_of(bare) != pixels_of(with_text)).any()


def test_what_the_model_was_not_shown_is_hatched() -> None:
    """On a white photo, which cannot fade, the part outside the view is marked, in the map's panel only."""
    values = np.zeros((60, 60))
    plain = np.full((60, 60, 3), 255, dtype=np.uint8)
    hatched = values.copy()
    hatched[:, 40:] = np.nan

    changed = np.argwhere((drawn(plain, values)[:600] != drawn(plain, hatched)[:600]).any(axis=2))
    left = Layout.of(60, 60).corner(1)[0] + 0.25  # inches, with the page's margin

    assert changed.size
    assert changed[:, 1].min() == pytest.approx((left + 4.2 * 40 / 60) * 160, abs=4)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(
    ("values", "note"),
    [
        (np.full((9, 9), np.nan), "no value anywhere"),
        (np.zeros((9, 9)), "constant: every value is 0"),
        (np.full((9, 9), -0.25), "constant: every value is -0.25"),
        (np.full((9, 9), 1e20), "constant: every value is 1e+20"),
    ],
    ids=["unknown", "zero", "negative", "large"],
)
def test_a_map_without_structure_is_drawn_and_says_so(values: NDArray[np.float64], note: str, signed: bool) -> None:
    """A map that shows nothing gives a picture that says why, not an error and not noise."""
    page = drawn(photo_of(9, 9), values, signed=signed)

    assert page.shape[2] == 3
    assert note in scale(values, signed=signed).note


def test_a_map_that_is_zero_leaves_the_photo_grey() -> None:
    """Nothing is coloured where there is nothing to show."""
    values = np.zeros((40, 60))

    mixed = blend(photo_of(40, 60), values, scale(values, signed=True), signed=True)

    assert np.ptp(mixed, axis=2).max() == 0


@given(values=arrays(np.float64, (9, 9), elements=LEVELS), signed=st.booleans())
def test_any_values_have_a_scale(values: NDArray[np.float64], signed: bool) -> None:
    """Whatever a map holds, its scale rises and its colours can be computed without a warning."""
    limits = scale(values, signed=signed)

    assert limits.low < limits.high
    assert blend(photo_of(9, 9), values, limits, signed=signed).dtype == np.uint8


# --- scale and colours ---


def test_a_signed_scale_is_symmetric_about_nothing() -> None:
    """Its ends are ± the 99.5th percentile of the absolute values, and values beyond are announced."""
    values = np.arange(-1000.0, 1001.0) * 2  # absolute values: 0 once, 2 to 2000 twice each

    limits = scale(values, signed=True)

    assert (limits.low, limits.high) == (-1990, 1990)  # the 1991st of 2001 (index 1990) is 2 * 995
    assert limits.below
    assert limits.above


def test_an_unsigned_scale_is_between_percentiles() -> None:
    """Its ends are the 0.5th and 99.5th percentile, for maps without a zero of their own."""
    limits = scale(np.arange(10.0, 211.0), signed=False)

    assert (limits.low, limits.high) == (11, 209)


@pytest.mark.parametrize("signed", [True, False])
def test_a_single_peak_is_not_lost(signed: bool) -> None:
    """Where hardly any value differs from the rest, the scale reaches the few that do."""
    values = np.zeros((100, 100))
    values[3, 4] = 5

    assert scale(values, signed=signed).high == 5


@pytest.mark.parametrize("signed", [True, False])
def test_stronger_values_hide_more_of_the_photo(signed: bool) -> None:
    """Opacity grows with strength, from nothing to less than everything."""
    opacity = ramp(signed=signed)[:, 3]
    rising = opacity[len(opacity) // 2 :] if signed else opacity

    assert (np.diff(rising) > 0).all()
    assert opacity.max() < 0.9
    assert opacity.min() == 0


def test_for_and_against_look_different_without_red_green_vision() -> None:
    """Seen with deuteranopia or protanopia (Machado et al. 2009, severity 1) the two sides keep a clear distance."""
    deuteranopia = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    protanopia = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    colours = ramp(signed=True)[:, :3]

    for eye in (deuteranopia, protanopia):
        seen = np.clip(colours**2.2 @ np.array(eye).T, 0, 1) ** (1 / 2.2)
        assert np.abs(seen[:128] - seen[:128:-1]).max(axis=1).min() > 0.2


def test_positive_is_red_and_negative_blue() -> None:
    """What speaks for the target is red, what speaks against it blue."""
    values = np.zeros((9, 9))
    values[0, 0], values[1, 1] = 1, -1

    mixed = blend(np.full((9, 9, 3), 128, np.uint8), values, scale(values, signed=True), signed=True).astype(int)

    assert mixed[0, 0, 0] - mixed[0, 0, 2] > 80
    assert mixed[1, 1, 2] - mixed[1, 1, 0] > 80


def test_the_photo_fades_where_there_is_no_value() -> None:
    """Without a value a grey level g becomes 255 - 0.3 (255 - g), up to rounding."""
    values = np.full((40, 60), np.nan)

    faded = blend(photo_of(40, 60), values, scale(values, signed=True), signed=True)

    grey = (photo_of(40, 60) * np.array(LUMA)).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(faded, np.broadcast_to(255 - 0.3 * (255 - grey), faded.shape), atol=0.51)


@given(height=st.integers(1, 30), width=st.integers(1, 30), factor=st.integers(1, 7), seed=st.integers(0, 99))
def test_a_map_is_reduced_with_its_photo(height: int, width: int, factor: int, seed: int) -> None:
    """Map and photo are averaged over the same blocks, those at the far edges being smaller."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)

    means = block_means(grey.astype(np.float64), factor)

    np.testing.assert_allclose(
        means, np.asarray(PIL.Image.fromarray(grey).reduce(factor)), atol=1
    )  # Pillow divides in integers


def test_unknown_values_do_not_dilute_a_block() -> None:
    """A block's mean is over its known values; one without any is unknown."""
    values = np.array([[1.0, np.nan, np.nan], [3.0, np.nan, np.nan]])

    np.testing.assert_array_equal(block_means(values, 2), [[2.0, np.nan]])


# --- what it needs ---


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is not installed, the person learns what to install."""
    monkeypatch.delattr(bbquery.report, "figure")
    monkeypatch.delitem(sys.modules, "bbquery.report.figure")
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[report\]"):
        overlay_png(photo_of(40, 60), map_of(), signed=True, **TEXT)


def test_drawing_leaves_matplotlib_s_global_state_alone() -> None:
    """No setting changes and pyplot is never imported; and importing the module does not import matplotlib."""
    code = """
import sys
import numpy as np
from bbquery.report.overlay import overlay_png
assert "matplotlib" not in sys.modules
import matplotlib
before = list(dict.items(matplotlib.rcParams))  # reading them as a mapping would choose a backend
overlay_png(np.zeros((9, 9, 3), np.uint8), np.eye(9), signed=True, title="", caption="", unit="")
assert list(dict.items(matplotlib.rcParams)) == before
assert "matplotlib.pyplot" not in sys.modules
"""

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("photo", "values"),
    [
        (np.zeros((9, 9, 3)), np.zeros((9, 9))),
        (np.zeros((9, 9), np.uint8), np.zeros((9, 9))),
        (np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9))),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 8))),
    ],
)
def test_what_does_not_fit_is_refused(photo: NDArray[Any], values: NDArray[np.float64]) -> None:
    """A photo of another kind, or a map of another photo, is the caller's mistake."""
    with pytest.raises(UsageError, match="not"):
        overlay_png(photo, values, signed=True, **TEXT)


@pytest.mark.parametrize("size", [(40, 60), (240, 100), (1000, 300), (300, 4001)])
def test_pixels_of_a_map_have_the_photos_shape(size: tuple[int, int]) -> None:
    """No side is longer than asked for, nor needlessly short; the sides keep their ratio."""
    height, width = overlaid(photo_of(*size), np.zeros(size), signed=True, longest=LONGEST_THUMBNAIL).shape[:2]

    assert max(width, height) <= LONGEST_THUMBNAIL
    assert max(width, height) >= min(max(size), LONGEST_THUMBNAIL / 2)
    assert abs(width / height - size[1] / size[0]) < 0.02 * size[1] / size[0] + 1 / height
