from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from bbquery.perturb.masks import MaskedCopies, Upsampling
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain

PHOTO = np.random.default_rng(5).integers(0, 256, (23, 31, 3)).astype(np.uint8)


def published_mask(grid: NDArray[Any], size: tuple[int, int], shift: tuple[int, int]) -> NDArray[np.float64]:
    """Enlarge and cut as eclique/RISE does, with its library."""
    s = len(grid)
    up_size = [(s + 1) * int(np.ceil(side / s)) for side in size]
    enlarge: Any = resize  # ships no types
    up = enlarge(grid.astype(np.float64), up_size, order=1, mode="reflect", anti_aliasing=False)
    return np.asarray(up[shift[0] : shift[0] + size[0], shift[1] : shift[1] + size[1]])


def copies(
    domain: Domain = UINT8, *, rows: int = 8, p: float = 0.5, fill: float = 127.0, cells: int = 5
) -> MaskedCopies:
    upsampling = Upsampling((PHOTO.shape[0], PHOTO.shape[1]), cells)
    return MaskedCopies(PHOTO, upsampling, domain, p=p, fill=fill, rows=rows, key=(3, 0))


@st.composite
def cut_grids(draw: st.DrawFn) -> tuple[NDArray[np.float64], tuple[int, int], tuple[int, int]]:
    """A grid, the size of a photo, and a shift that the pair allows."""
    cells = draw(st.integers(1, 9))
    size = (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    shift = tuple(draw(st.integers(0, -(-side // cells) - 1)) for side in size)
    grid = np.random.default_rng(draw(st.integers(0, 999))).random((cells, cells))
    return grid, size, (shift[0], shift[1])


@given(cut_grids())
@settings(deadline=None)
def test_masks_are_those_of_the_published_code(
    cut: tuple[NDArray[np.float64], tuple[int, int], tuple[int, int]],
) -> None:
    """Any grid, size and shift gives the mask that skimage's resize and RISE's crop give, edges included."""
    grid, size, shift = cut

    mask = Upsampling(size, len(grid)).mask(grid, shift)

    np.testing.assert_allclose(mask, published_mask(grid, size, shift), atol=1e-12)


def test_superposing_grids_is_summing_their_masks() -> None:
    """A weighted sum of masks, each with its own shift, comes out of the sums of their grids alone."""
    size, cells = (11, 14), 4
    rng = np.random.default_rng(0)
    upsampling = Upsampling(size, cells)
    sums = np.zeros((*upsampling.cell, cells, cells))
    expected = np.zeros(size)
    for _ in range(40):
        grid, weight = rng.random((cells, cells)) < 0.5, rng.normal()
        shift = (int(rng.integers(upsampling.cell[0])), int(rng.integers(upsampling.cell[1])))
        sums[shift] += weight * grid
        expected += weight * published_mask(grid, size, shift)

    np.testing.assert_allclose(upsampling.superpose(sums), expected, atol=1e-12)


@pytest.mark.parametrize(("domain", "tolerance"), [(UINT8, 0.5 + 1e-3), (FLOAT, 1e-10)], ids=["uint8", "float64"])
def test_a_masked_copy_shows_the_photo_where_visible_and_the_fill_where_hidden(
    domain: Domain, tolerance: float
) -> None:
    """What is sent is x M + fill (1 - M), to the nearest pixel of the domain."""
    masked = copies(domain, fill=40.0)

    for row in range(len(masked)):
        grid, shift = masked.draw(row)
        mask = published_mask(grid, (23, 31), shift)[..., None]
        assert masked[row].dtype == np.dtype(domain.dtype)
        assert np.abs(masked[row] - (PHOTO * mask + 40.0 * (1 - mask))).max() <= tolerance


def test_cells_are_visible_with_the_stated_probability() -> None:
    """Over many rows a share p of the cells is visible, in every place of the grid."""
    grids, _ = copies(p=0.2, rows=2000).drawn(range(2000))

    assert np.abs(grids.mean(axis=0) - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 2000)


def test_shifts_reach_every_pixel_of_a_cell_equally_often() -> None:
    """On each axis a shift is uniform over 0 to the side of a cell."""
    _, shifts = copies(rows=3000).drawn(range(3000))

    for axis, cell in enumerate((5, 7)):  # ceil(23 / 5), ceil(31 / 5)
        share = np.bincount(shifts[:, axis], minlength=cell) / 3000
        assert len(share) == cell
        assert np.abs(share - 1 / cell).max() < 5 * np.sqrt(1 / cell / 3000)


def test_drawn_rows_are_those_that_were_sent() -> None:
    """Grids and shifts drawn again, for any choice of rows, are the ones that the copies were rendered with."""
    masked = copies()

    grids, shifts = masked.drawn([6, 2])

    for place, row in enumerate([6, 2]):
        np.testing.assert_array_equal(grids[place], masked.draw(row)[0])
        assert tuple(shifts[place]) == masked.draw(row)[1]


def test_no_rows_drawn_are_empty_arrays_of_the_right_shape() -> None:
    """A batch in which nothing was answered needs no special case."""
    grids, shifts = copies().drawn([])

    assert (grids.shape, shifts.shape) == ((0, 5, 5), (0, 2))


def test_a_billion_masks_take_no_memory() -> None:
    """Memory does not grow with rows: the last of a billion is rendered at the cost of one."""
    masked = copies(rows=10**9)
    tracemalloc.start()
    masked[10**9 - 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(masked) == 10**9
    assert peak < 200_000


def test_there_are_no_masks_beyond_the_last() -> None:
    """A row that does not exist is an IndexError, so that iterating over copies ends."""
    with pytest.raises(IndexError, match="row 8 of 8"):
        copies(rows=8)[8]
