"""What an oracle is sent of a photo, and where a map lies on it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.images.placement import Placement, fit
from bbquery.oracle import View
from bbquery.types import FLOAT, UINT8
from tests.support.images import photo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


# --- what an oracle is sent ---


def test_the_own_view_changes_nothing() -> None:
    """Without a size and a crop the photo's own pixels are sent."""
    sent, placement = fit(photo_of(), View(), UINT8)

    np.testing.assert_array_equal(sent, photo_of())
    assert placement == Placement(photo=(12, 16), box=(0, 0, 16, 12), size=(12, 16))


def test_the_same_size_changes_nothing() -> None:
    """A view of the photo's own size sends its own pixels."""
    sent, _ = fit(photo_of(), View(size=(12, 16)), UINT8)

    np.testing.assert_array_equal(sent, photo_of())


@pytest.mark.parametrize(("height", "width"), [(300, 451), (451, 300), (640, 427)])
def test_efficientnet_s_crop_is_exact(height: int, width: int) -> None:
    """The side of its square is shorter · 224 / (224 + 32), in the middle, though that is no whole number."""
    sent, placement = fit(photo_of(height, width), View(size=(224, 224), crop=0.875), UINT8)
    left, top, right, bottom = placement.box
    side = min(height, width) * 224 / 256

    assert sent.shape == (224, 224, 3)
    assert sent.dtype == np.uint8
    assert (right - left, bottom - top) == (side, side)
    assert (left + right, top + bottom) == (width, height)


def test_a_crop_without_a_size_copies_pixels() -> None:
    """Without a size nothing is resampled: the middle square of whole pixels is sent as it is."""
    sent, placement = fit(photo_of(11, 16), View(crop=0.8), UINT8)

    np.testing.assert_array_equal(sent, photo_of(11, 16)[1:10, 3:12])
    assert placement.box == (3, 1, 12, 10)


def cubic(start: float, stop: float, pixels: int, size: int) -> NDArray[np.float64]:
    """Keys' cubic kernel (1981, a = -1/2), widened where it shrinks, as weights (size, pixels)."""
    step = (stop - start) / size
    at = (start + (np.arange(size)[:, None] + 0.5) * step - np.arange(pixels) - 0.5) / max(step, 1)
    t = np.abs(at)
    weights = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("size", [(10, 20), (50, 40)], ids=["shrunk", "enlarged"])
def test_resampling_is_bicubic_within_the_box(size: tuple[int, int]) -> None:
    """The pixels sent are those of the cubic convolution over the fractional box, up to rounding in each direction."""
    photo = photo_of(30, 45) // 2 + 64  # away from the ends of the scale, where the kernel's overshoot is clipped

    sent, placement = fit(photo, View(size=size, crop=0.81), UINT8)

    left, top, right, bottom = placement.box
    expected = np.einsum("ih,hwc,jw->ijc", cubic(top, bottom, 30, size[0]), photo, cubic(left, right, 45, size[1]))
    np.testing.assert_allclose(sent, expected, atol=1.6)


def test_the_domain_decides_the_type() -> None:
    """An in-process function is sent floating-point pixels, of the same grey levels."""
    view = View(size=(8, 8), crop=0.5)
    sent, _ = fit(photo_of(), view, FLOAT)

    assert sent.dtype == np.float64
    np.testing.assert_array_equal(sent, fit(photo_of(), view, UINT8)[0])


@pytest.mark.parametrize("view", [View(crop=0.0), View(crop=1.5), View(crop=float("nan")), View(size=(0, 9))])
def test_an_impossible_view_is_refused(view: View) -> None:
    """A crop that is no share, or an empty size, is the caller's mistake."""
    with pytest.raises(UsageError, match="view has"):
        fit(photo_of(), view, UINT8)


SIZES = st.integers(8, 60)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Placements as `fit` makes them, of photos larger and smaller than what is sent."""
    photo = np.zeros((draw(SIZES), draw(SIZES), 3), dtype=np.uint8)
    size = draw(st.none() | st.tuples(st.integers(1, 60), st.integers(1, 60)))
    view = View(size=size, crop=draw(st.none() | st.floats(0.2, 1)))
    return fit(photo, view, UINT8)[1]


def grid(placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Rows and columns of the photo's pixel centres, and whether they lie in the box; all (H, W)."""
    rows, columns = np.mgrid[: placement.photo[0], : placement.photo[1]] + 0.5
    left, top, right, bottom = placement.box
    return rows, columns, (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)


# --- where a map lies on the photo ---


@given(placement=placements(), constant=st.floats(-1e3, 1e3))
def test_a_constant_map_stays_constant(placement: Placement, constant: float) -> None:
    """A constant comes back as itself wherever the oracle saw the photo, and as NaN everywhere else."""
    values = placement.to_photo(np.full(placement.size, constant))

    expected = np.where(grid(placement)[2], constant, np.nan)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


@given(placement=placements())
def test_a_linear_ramp_comes_back_exactly(placement: Placement) -> None:
    """A map that holds the photo's own coordinates comes back as them, inside the centres of its outermost pixels."""
    (left, top, right, bottom), (h, w) = placement.box, placement.size
    tall, wide = (bottom - top) / h, (right - left) / w
    ramp = (top + (np.arange(h)[:, None] + 0.5) * tall) + 1000 * (left + (np.arange(w) + 0.5) * wide)

    values = placement.to_photo(ramp)

    rows, columns, _ = grid(placement)
    y, x = tall / 2 + 0.5, wide / 2 + 0.5  # a photo's pixel is itself one wide
    inner = (rows >= top + y) & (rows <= bottom - y) & (columns >= left + x) & (columns <= right - x)
    np.testing.assert_allclose(values[inner], (rows + 1000 * columns)[inner], rtol=1e-11)


@given(placement=placements(), data=st.data())
def test_no_value_leaves_the_map_s_range(placement: Placement, data: st.DataObject) -> None:
    """Interpolation invents no peak and no change of sign."""
    values = data.draw(arrays(np.float64, placement.size, elements=st.floats(-1, 1)))

    mapped = placement.to_photo(values)

    seen = mapped[~np.isnan(mapped)]
    assert seen.size
    assert seen.min() >= values.min() - 1e-12
    assert seen.max() <= values.max() + 1e-12


def test_a_map_of_the_photo_s_own_pixels_is_kept() -> None:
    """Where nothing was resampled, nothing is interpolated."""
    values = np.random.default_rng(1).normal(size=(12, 16))
    _, placement = fit(photo_of(), View(), UINT8)

    np.testing.assert_allclose(placement.to_photo(values), values, rtol=1e-15)


def test_an_enlarged_photo_gets_means() -> None:
    """Where an oracle was sent k × k pixels for one of the photo, that one gets their mean: none is skipped."""
    values = np.random.default_rng(1).normal(size=(48, 64))
    placement = Placement(photo=(12, 16), box=(0, 0, 16, 12), size=(48, 64))

    means = values.reshape(12, 4, 16, 4).mean(axis=(1, 3))

    np.testing.assert_allclose(placement.to_photo(values), means, rtol=1e-12)


def test_an_unknown_value_stays_unknown_nearby() -> None:
    """One NaN of the map makes its own surroundings NaN and nothing else."""
    values = np.zeros((10, 10))
    values[5, 5] = np.nan
    placement = Placement(photo=(20, 20), box=(0, 0, 20, 20), size=(10, 10))

    unknown = np.argwhere(np.isnan(placement.to_photo(values)))

    assert unknown.min() >= 9
    assert unknown.max() <= 12


def test_a_map_of_another_shape_is_refused() -> None:
    """A map that is not of the pixels that were sent is not stretched over the photo."""
    placement = Placement(photo=(20, 20), box=(0, 0, 20, 20), size=(10, 10))

    with pytest.raises(UsageError, match=r"\(10, 11\)"):
        placement.to_photo(np.zeros((10, 11)))


@pytest.mark.parametrize(
    ("photo", "view", "warning"),
    [
        ((10, 20000), View(size=(224, 224), crop=0.875), "a sliver of the photo, 8.75 × 8.75 of its 20000 × 10 pixels"),
        ((20000, 10), View(crop=1.0), "a sliver of the photo, 10 × 10 of its 10 × 20000 pixels (0.05%)"),
        ((10, 20000), View(size=(224, 224)), "squeezed, its 20000 × 10 pixels as 224 × 224, 2e+03 times more"),
        ((1000, 3000), View(size=(224, 224), crop=0.875), ""),
        ((1000, 3000), View(size=(224, 224)), ""),
        ((10, 20000), View(), ""),
    ],
)
def test_a_photo_of_which_a_model_sees_a_sliver_is_warned_of(photo: tuple[int, int], view: View, warning: str) -> None:
    """Panoramas pass; a strip whose middle alone is shown, or that is squeezed beyond recognition, does not."""
    _, placement = fit(np.zeros((*photo, 3), np.uint8), view, UINT8)

    assert warning in placement.warning
    assert bool(warning) == bool(placement.warning)


def test_a_placement_comes_back_from_a_record() -> None:
    """What run.json says of where the pixels lie is read as it was."""
    placement = Placement(photo=(40, 60), box=(10.5, 0.5, 49.5, 39.5), size=(16, 16))

    assert Placement.of(json.loads(json.dumps(dataclasses.asdict(placement)))) == placement


def test_a_box_on_what_was_sent_is_brought_to_the_photo() -> None:
    """Shares of the crop become shares of the photo."""
    placement = Placement(photo=(100, 200), box=(50.0, 0.0, 150.0, 100.0), size=(10, 10))
    whole = Placement(photo=(100, 200), box=(0.0, 0.0, 200.0, 100.0), size=(10, 10))

    assert placement.box_on_photo(Box.of(0, 0.5, 1, 0.75)) == Box(0.25, 0.5, 0.75, 0.75)
    assert whole.box_on_photo(Box.of(0.1, 0.5, 0.3, 0.75)) == pytest.approx((0.1, 0.5, 0.3, 0.75))
