from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.perturb.directions import OrthonormalDirections, coordinates, cosines, on_sphere, signs

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDES = st.integers(1, 6)


@given(shape=st.tuples(SIDES, SIDES, st.integers(1, 3)), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_directions_are_an_orthonormal_basis(shape: tuple[int, int, int], seed: int) -> None:
    """As many directions as values are orthonormal, for any shape and seed, and so are as many again."""
    directions = OrthonormalDirections(shape, seed)

    for start in (0, directions.size):
        basis = np.stack([directions(start + i).ravel() for i in range(directions.size)])
        np.testing.assert_allclose(basis @ basis.T, np.eye(directions.size), atol=1e-12)


def test_directions_are_isotropic_over_seeds() -> None:
    """The outer product of a direction with itself averages to the identity over the number of values."""
    first = np.stack([OrthonormalDirections((2, 2, 3), seed)(0).ravel() for seed in range(2000)])

    mean = first.T @ first / len(first)

    # products of two cosines and signs have a second moment of at most (2 × 2 × 2)² / 144 here
    np.testing.assert_allclose(mean, np.eye(12) / 12, atol=5 * 8 / 12 / np.sqrt(2000))


def test_another_basis_has_other_signs() -> None:
    """After a whole basis comes another, not the same again."""
    directions = OrthonormalDirections((2, 2, 3), 0)
    first, second = (np.stack([directions(k * 12 + i).ravel() for i in range(12)]) for k in (0, 1))

    assert np.abs(first @ second.T).max() < 0.999


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_cosines_are_those_of_scipy(size: int) -> None:
    """Row k is the orthonormal DCT-II's k-th wave."""
    from scipy.fft import idct

    np.testing.assert_allclose(cosines(size), idct(np.eye(size), norm="ortho", axis=1), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_on_the_sphere_have_their_root_mean_square(dtype: Any) -> None:
    """Every row is as far from the photo as the next."""
    change = on_sphere((5, 4, 3), 6.0, dtype, rows=9, key=(1, 0))
    rows = [change(row) for row in range(9)]

    assert {row.dtype.type for row in rows} == {dtype}
    np.testing.assert_allclose([np.sqrt(np.square(row).mean()) for row in rows], 6.0, rtol=1e-6)


def test_signs_are_fair_and_independent() -> None:
    """Values are -sigma or sigma, each half of the time, uncorrelated between rows and between values."""
    change = signs((40, 40, 3), 8.0, np.float32, rows=4, key=(1, 0))
    rows: NDArray[Any] = np.stack([change(row).ravel() for row in range(4)]) / 8

    assert set(np.unique(rows)) == {-1.0, 1.0}
    assert np.abs(rows.mean(axis=1)).max() < 5 / np.sqrt(4800)
    assert np.abs(np.corrcoef(rows) - np.eye(4)).max() < 5 / np.sqrt(4800)
    assert abs((rows[:, 1:] * rows[:, :-1]).mean()) < 5 / np.sqrt(4 * 4799)


def test_coordinates_are_each_moved_once_before_any_is_moved_again() -> None:
    """One value a row, towards the middle of the grey levels, in an order that begins again after the last."""
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 3)).astype(np.uint8)
    change = coordinates(x, 5.0, np.float32, first=7, seed=3)

    moved = np.stack([change(row).ravel() for row in range(18)])

    assert np.array_equal(np.count_nonzero(moved, axis=0), np.ones(18))
    assert np.array_equal(moved.sum(axis=0), np.where(x.ravel() < 127.5, 5, -5))
    np.testing.assert_array_equal(change(18), change(0))
    np.testing.assert_array_equal(coordinates(x, 5.0, np.float32, first=0, seed=3)(7), change(0))
