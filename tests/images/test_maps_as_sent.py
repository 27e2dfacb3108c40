from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.images.placement import Placement, both_ways, to_sent

CROPPED = Placement(photo=(30, 40), box=(6.3, 1.3, 33.7, 28.7), size=(20, 20))
ENLARGED = Placement(photo=(30, 40), box=(6.7, 1.7, 33.3, 28.3), size=(40, 40))


def ramp(height: int, width: int) -> Any:
    """A map that grows linearly to the right and down."""
    return np.arange(height)[:, None] * 2.0 + np.arange(width) * 3.0


@given(photo=st.tuples(st.integers(8, 60), st.integers(8, 60)), size=st.integers(4, 40), crop=st.floats(0.5, 1.0))
@settings(max_examples=60, deadline=None)
def test_a_map_comes_back_from_the_photo(photo: tuple[int, int], size: int, crop: float) -> None:
    """There and back a linear map is the same inside, for photos larger and smaller than what is sent."""
    side = crop * min(photo)
    left, top = (photo[1] - side) / 2, (photo[0] - side) / 2
    placement = Placement(photo=photo, box=(left, top, left + side, top + side), size=(size, size))

    back = to_sent(placement.to_photo(ramp(size, size)), placement)

    edge = int(np.ceil(1.5 * size / side)) + 1  # the centres of the outermost pixels, beyond which values continue
    inner = slice(edge, size - edge)
    np.testing.assert_allclose(back[inner, inner], ramp(size, size)[inner, inner], atol=1e-6)
    assert back.shape == (size, size)
    assert np.isfinite(back).all()


@pytest.mark.parametrize("placement", [CROPPED, ENLARGED])
def test_a_constant_stays_at_the_border(placement: Placement) -> None:
    """What the oracle did not see, NaN, does not bleed into what it did."""
    back = to_sent(placement.to_photo(np.full(placement.size, 0.7)), placement)

    np.testing.assert_allclose(back, 0.7)


def test_a_large_map_is_averaged_not_sampled() -> None:
    """Where a pixel that is sent covers several of the photo's, each of them counts."""
    placement = Placement(photo=(40, 40), box=(0.0, 0.0, 40.0, 40.0), size=(4, 4))
    values = np.random.default_rng(0).normal(size=(40, 40))

    means = values.reshape(4, 10, 4, 10).mean(axis=(1, 3))
    np.testing.assert_allclose(to_sent(values, placement), means, atol=1e-12)


def test_pixels_that_are_sent_as_they_are_keep_their_values() -> None:
    """Without resampling nothing changes, to the bit."""
    placement = Placement(photo=(12, 10), box=(2.0, 3.0, 8.0, 9.0), size=(6, 6))
    values = np.random.default_rng(1).normal(size=(12, 10))

    np.testing.assert_array_equal(to_sent(values, placement), values[3:9, 2:8])


def test_rows_are_not_columns() -> None:
    """A map of a wide photo is brought over without being turned."""
    values = CROPPED.to_photo(np.repeat(np.arange(20.0)[:, None], 20, axis=1))

    back = to_sent(values, CROPPED)

    assert (np.diff(back[2:-2, 10]) > 0.9).all()
    assert np.ptp(back[10]) < 1e-9


@pytest.mark.parametrize("shape", [(30, 40), (20, 20)])
def test_a_map_of_either_shape_is_taken(shape: tuple[int, int]) -> None:
    """In the photo's coordinates or in those of what is sent: both are given back."""
    of_photo, of_sent = both_ways(ramp(*shape), CROPPED)

    assert of_photo.shape == (30, 40)
    assert of_sent.shape == (20, 20)
    assert np.isnan(of_photo[0]).all() == (shape == (20, 20))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((40, 30)), r"shape \(40, 30\), but the photo \(30, 40\)"),
        (np.full((30, 40), 2.5), "constant"),
        (np.where(np.arange(40) < 3, 1.0, 2.5) * np.ones((30, 1)), r"constant \(2.5"),
        (np.where(np.arange(40) == 20, np.nan, ramp(30, 40)), "NaN"),
        (np.where(np.arange(40) == 20, np.inf, ramp(30, 40)), "infinite"),
        (np.full((20, 20), np.nan), "NaN"),
    ],
)
def test_a_map_that_cannot_be_judged_is_refused(values: Any, told: str) -> None:
    """Another shape, NaN where the oracle sees something, or a constant there: each is said in words."""
    with pytest.raises(UsageError, match=told):
        both_ways(values, CROPPED)
