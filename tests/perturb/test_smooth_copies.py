"""Smooth noise: its strength, its shape, and that it is what was sent."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.estimators.statistics.moments import Moments
from bbquery.perturb.lowfrequency import SmoothCopies
from bbquery.types import FLOAT, UINT8

GREY = np.full((24, 36, 3), 128, np.uint8)


def changes(copies: SmoothCopies) -> np.ndarray:
    return np.stack([copies.realised(row) for row in range(len(copies))])


def test_every_value_has_the_same_standard_deviation() -> None:
    """Interpolation leaves no pattern: the noise is as strong between the centres of cells as on them."""
    noise = changes(SmoothCopies(GREY, 5.0, FLOAT, rows=4000, key=(1, 2), cells=6))

    assert np.abs(noise.std(axis=0) / 5.0 - 1).max() < 0.06  # 5 standard errors of 1 / sqrt(2 n)
    assert np.abs(noise.mean(axis=0)).max() < 0.4


def test_the_noise_is_linear_between_the_centres_of_cells() -> None:
    """Undoing the scaling gives plain bilinear interpolation of the grid, as NumPy's own interpolation has it."""
    (noise,) = changes(SmoothCopies(np.zeros((8, 12, 3)), 1.0, FLOAT, rows=1, key=(3, 4), cells=4))
    grid = np.random.default_rng((3, 4, 0)).standard_normal((4, 4, 3))  # columns first

    def enlarged(values: np.ndarray, pixels: int) -> np.ndarray:
        place = (np.arange(pixels) + 0.5) * 4 / pixels - 0.5
        ends = np.clip(place, 0, 3)
        norm = np.hypot(1 - ends % 1, ends % 1)
        return np.stack([np.interp(place, np.arange(4), column) for column in values.T], axis=1) / norm[:, None]

    for channel in range(3):
        across = enlarged(grid[:, :, channel], 12)  # (12, 4)
        assert np.allclose(noise[:, :, channel], enlarged(across.T, 8), atol=1e-12)


def test_neighbours_move_together_and_distant_pixels_do_not() -> None:
    """The noise is smooth: correlated within a cell, independent two cells apart."""
    noise = changes(SmoothCopies(GREY, 10.0, FLOAT, rows=2000, key=(0,), cells=4))

    assert np.corrcoef(noise[:, 10, 10, 0], noise[:, 10, 11, 0])[0, 1] > 0.95
    assert abs(np.corrcoef(noise[:, 10, 4, 0], noise[:, 10, 30, 0])[0, 1]) < 0.1


def test_a_copy_is_what_is_sent() -> None:
    """On uint8 a copy is rounded and clipped, and the realised change is exactly its difference from the image."""
    x = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    copies = SmoothCopies(x, 60.0, UINT8, rows=5, key=(7,), cells=56)

    for row in range(5):
        assert copies[row].dtype == np.uint8
        assert np.array_equal(copies[row].astype(int) - x, copies.realised(row))
        assert np.array_equal(copies[row], SmoothCopies(x, 60.0, UINT8, rows=9, key=(7,), cells=56)[row])


def test_more_cells_than_pixels_are_a_cell_for_each() -> None:
    """Where the grid is no coarser than the image, the noise is independent from pixel to pixel."""
    noise = changes(SmoothCopies(np.zeros((4, 5, 3)), 1.0, FLOAT, rows=2000, key=(5,), cells=56)).reshape(2000, -1)

    correlation = np.corrcoef(noise.T) - np.eye(60)
    assert np.abs(correlation).max() < 0.12


def test_there_is_no_row_beyond_the_last_and_no_grid_without_cells() -> None:
    """Rows are not counted from the end, and a grid has at least one cell."""
    with pytest.raises(IndexError):
        SmoothCopies(GREY, 1.0, UINT8, rows=2, key=(0,))[2]
    with pytest.raises(UsageError, match="cells"):
        SmoothCopies(GREY, 1.0, UINT8, rows=2, key=(0,), cells=0)


def test_the_published_estimate_is_the_mean_of_score_times_noise() -> None:
    """Without centring, a constant score leaves its own value times the mean noise; unanswered rows are left out."""
    copies = SmoothCopies(GREY, 3.0, FLOAT, rows=6, key=(0,), cells=3)
    scores = np.array([2.0, np.nan, 2.0, 2.0, np.nan, 2.0])
    moments = Moments(GREY.shape)

    moments.add(copies, scores)

    answered = changes(copies)[[0, 2, 3, 5]]
    assert np.allclose(moments.product(), 2 * answered.mean(axis=0))
    assert not Moments((2, 2, 3)).product().any()
