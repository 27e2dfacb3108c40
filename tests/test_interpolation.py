"""Interpolation between the centres of pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbquery.interpolation import mean_at, neighbours

PLACES = st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=9)


@given(places=PLACES, length=st.integers(1, 12), seed=st.integers(0, 99))
def test_a_place_is_read_as_numpy_interpolates(places: list[float], length: int, seed: int) -> None:
    """Between two centres the value is linear, and beyond the outermost centre theirs continues."""
    values = np.random.default_rng(seed).standard_normal((length, 1))

    found = mean_at(values, np.array([places]))

    np.testing.assert_allclose(found[:, 0], np.interp(places, np.arange(length), values[:, 0]), atol=1e-12)


@given(places=PLACES, length=st.integers(1, 12))
def test_shares_are_of_pixels_that_there_are(places: list[float], length: int) -> None:
    """Both neighbours lie within the axis, and the share of the second is 0 to below 1."""
    lower, upper, share = neighbours(np.array(places), length)

    assert lower.min() >= 0
    assert upper.max() < length
    assert share.min() >= 0
    assert share.max() < 1


def test_several_points_are_averaged() -> None:
    """Where a pixel covers several, it takes the mean of its points."""
    values = np.array([[0.0], [10.0], [40.0]])

    np.testing.assert_allclose(mean_at(values, np.array([[0.0, 1.0], [1.0, 2.0]])), [[5.0], [25.0]])
