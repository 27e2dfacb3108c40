"""Cells show and hide parts of a photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.perturb.cells import CellCopies, GridCells, LabelledCells
from bbquery.types import FLOAT, UINT8

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
BLACK = np.zeros(PHOTO.shape)
SIDES = st.integers(1, 40)


@given(height=SIDES, width=SIDES, cells=st.integers(1, 12), smooth=st.booleans())
def test_all_visible_is_the_photo_and_all_hidden_is_nothing(height: int, width: int, cells: int, smooth: bool) -> None:
    """In every pixel the weights of the cells sum to 1, on any grid."""
    grid = GridCells((height, width), cells, smooth=smooth)

    np.testing.assert_allclose(grid.spread(np.ones(grid.count)), 1, atol=1e-6)
    assert grid.count == min(cells, height) * min(cells, width)


@given(height=SIDES, width=SIDES, cells=st.integers(1, 12))
def test_a_hard_cell_is_a_rectangle(height: int, width: int, cells: int) -> None:
    """Each pixel lies in just one cell, the cells' numbers grow down and across, and none is empty."""
    grid = GridCells((height, width), cells, smooth=False)

    labels = grid.spread(np.arange(grid.count, dtype=np.float64))

    assert np.array_equal(np.unique(labels), np.arange(grid.count))
    assert (np.diff(labels, axis=1) >= 0).all()
    assert (np.diff(labels, axis=0) >= 0).all()


def test_a_smooth_grid_is_linear_between_centres() -> None:
    """Two cells over eight pixels: constant beyond the centres, linear between them."""
    row = GridCells((1, 8), 2).spread(np.array([0.0, 1.0]))[0]

    np.testing.assert_allclose(row, [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1], atol=1e-6)


def test_as_many_cells_as_pixels_are_the_pixels() -> None:
    """A photo smaller than the grid has a cell for each pixel, smooth or not."""
    values = np.arange(6.0)

    np.testing.assert_allclose(GridCells((2, 3), 14).spread(values), values.reshape(2, 3))


def test_centres_of_a_grid_are_its_places() -> None:
    """In units of a cell's side."""
    np.testing.assert_array_equal(GridCells((20, 30), 2).centres, [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_regions_have_centres_of_gravity() -> None:
    """A photo halved across has centres a quarter from each side, in units of the side of a square of that area."""
    labels = np.repeat([[0, 0, 1, 1]], 2, axis=0)

    cells = LabelledCells(labels)

    np.testing.assert_allclose(cells.centres, np.array([[0.5, 0.5], [0.5, 2.5]]) / 2)
    np.testing.assert_array_equal(cells.spread(np.array([5.0, 7.0])), [[5, 5, 7, 7]] * 2)


@pytest.mark.parametrize("labels", [[[0, 2]], [[-1, 0]]])
def test_regions_without_a_number_are_refused(labels: list[list[int]]) -> None:
    """Labels leave no gap and are not negative."""
    with pytest.raises(UsageError):
        LabelledCells(np.array(labels))


def test_a_copy_shows_visible_cells_and_fills_the_others() -> None:
    """What is visible is the photo to the bit, what is hidden is the filling."""
    grid = GridCells(PHOTO.shape[:2], 2, smooth=False)

    copy = CellCopies(PHOTO, BLACK + 9, grid, np.array([[1, -1, -1, 1]], dtype=np.int8), UINT8)[0]

    np.testing.assert_array_equal(copy[:10, :15], PHOTO[:10, :15])
    np.testing.assert_array_equal(copy[10:, 15:], PHOTO[10:, 15:])
    assert (copy[:10, 15:] == 9).all()
    assert (copy[10:, :15] == 9).all()
    assert copy.dtype == np.uint8


def test_between_cells_photo_and_filling_are_mixed() -> None:
    """On a float domain a pixel is the weighted mean, to rounding."""
    grid = GridCells(PHOTO.shape[:2], 3)
    visible = np.array([[1, -1, 1, -1, 1, -1, 1, -1, 1]], dtype=np.int8)

    copy = CellCopies(PHOTO.astype(np.float64), BLACK + 50, grid, visible, FLOAT)[0]

    mask = grid.spread((visible[0] > 0).astype(np.float64))[..., None]
    np.testing.assert_allclose(copy, mask * PHOTO + (1 - mask) * 50, atol=1e-9)


def test_there_is_no_copy_beyond_the_last() -> None:
    """As many copies as rows."""
    copies = CellCopies(PHOTO, BLACK, GridCells((20, 30), 2), np.ones((3, 4), dtype=np.int8), UINT8)

    assert len(copies) == 3
    with pytest.raises(IndexError):
        copies[3]
