"""RISE's random masks (Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", 3.2).

A grid of s × s cells, each visible with probability p, is enlarged bilinearly to (s + 1) × (s + 1) cells' worth of
pixels, and a window of the photo's size is cut from it at a random shift of less than a cell. Masks are keep-masks:
1 is visible, 0 is hidden.

Enlarging is linear and separable: a mask is R G Cᵀ with one small matrix an axis, of which the shift selects rows.
Hence a mask costs two small matrix products, and a weighted sum of any number of masks needs only the weighted sums
of their grids, one for each shift (`Upsampling.superpose`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bbquery.perturb.rendering import blended, scratch
from bbquery.perturb.rows import row_generator
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image

Shift: TypeAlias = tuple[int, int]
"""Pixels (down, right) at which a mask is cut from its enlarged grid, each less than a cell."""


def interpolation(cells: int, pixels: int) -> NDArray[np.float64]:
    """Return the matrix (pixels, cells) that enlarges one axis of a grid bilinearly; its rows sum to 1.

    Equal to `skimage.transform.resize(..., order=1, mode="reflect")`, as RISE's code calls it: pixel centres, and
    beyond the outermost cell's centre the grid is mirrored *about that centre*, so that the outermost half cell fades
    towards its inner neighbour instead of staying constant.
    """
    centre = np.abs((np.arange(pixels) + 0.5) * cells / pixels - 0.5)  # mirrored about cell 0
    centre = (cells - 1) - np.abs((cells - 1) - centre)  # and about the last cell
    centre = np.maximum(centre, 0.0)  # a single cell has nothing to be mirrored
    weights: NDArray[np.float64] = np.maximum(0.0, 1.0 - np.abs(centre[:, None] - np.arange(cells)))
    return weights


class Upsampling:
    """Enlargement of grids of `cells` × `cells` to masks of `size` (H, W).

    cell: the side of a cell in pixels on each axis, rounded up: ceil(H / cells), ceil(W / cells).
    rows, columns: the matrices (cells + 1) * cell by cells that enlarge a grid's axes.
    """

    def __init__(self, size: tuple[int, int], cells: int) -> None:
        self.size, self.cells = size, cells
        self.cell: Shift = (-(-size[0] // cells), -(-size[1] // cells))
        self.rows = interpolation(cells, (cells + 1) * self.cell[0])
        self.columns = interpolation(cells, (cells + 1) * self.cell[1])

    def mask(self, grid: NDArray[Any], shift: Shift) -> NDArray[np.float64]:
        """Return the mask (H, W), 0 to 1, of a grid (cells, cells) cut at `shift`."""
        return self._mask(grid, shift, np.empty(self.size))

    def mask_to_read(self, grid: NDArray[Any], shift: Shift) -> NDArray[np.float64]:
        """Return the same in an array that this thread's next one is written to."""
        return self._mask(grid, shift, scratch("mask", self.size, np.float64))

    @one_blas_thread
    def _mask(self, grid: NDArray[Any], shift: Shift, out: NDArray[np.float64]) -> NDArray[np.float64]:
        (down, right), (height, width) = shift, self.size
        return np.matmul(self.rows[down : down + height] @ grid, self.columns[right : right + width].T, out=out)

    @one_blas_thread
    def superpose(self, grids: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum (H, W) of the masks of all grids: `grids[down, right]` is the one cut at that shift.

        grids: (*cell, cells, cells), real-valued: weighted sums of the grids that share a shift.
        """
        across = np.hstack([self.columns[right : right + self.size[1]] for right in range(self.cell[1])])
        down = np.hstack([self.rows[down : down + self.size[0]] for down in range(self.cell[0])])
        stacked = grids.transpose(0, 2, 1, 3).reshape(down.shape[1], across.shape[1])
        return down @ stacked @ across.T


class MaskedCopies:
    """`rows` copies of x, each behind its own random mask: x where visible, `fill` where hidden; rendered on demand.

    x: (H, W, 3) in grey levels. fill: a grey level. p: the probability that a cell is visible. What is sent is
    realise(x M + fill (1 - M)), computed in float32 for uint8 pixels and in float64 otherwise.
    """

    def __init__(
        self, x: Image, upsampling: Upsampling, domain: Domain, *, p: float, fill: float, rows: int, key: Key
    ) -> None:
        self._dtype: type[np.floating[Any]] = np.float32 if domain.dtype == "uint8" else np.float64
        self._upsampling, self._domain = upsampling, domain
        self._p, self._fill, self._rows, self._key = p, fill, rows, key
        self._contrast: NDArray[np.floating[Any]] = np.subtract(x, fill, dtype=self._dtype)

    def __len__(self) -> int:
        """Number of copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        mask = self._upsampling.mask_to_read(*self.draw(row))
        # fill + M (x - fill) is x M + fill (1 - M) in fewer passes
        return blended(mask, self._contrast, self._fill, self._domain)

    def draw(self, row: int) -> tuple[NDArray[np.bool_], Shift]:
        """Return the grid (cells, cells) of copy `row`, True where visible, and its shift."""
        rng = row_generator(self._key, row, self._rows)
        cells, (tall, wide) = self._upsampling.cells, self._upsampling.cell
        grid = rng.random((cells, cells)) < self._p
        return grid, (int(rng.integers(tall)), int(rng.integers(wide)))

    def drawn(self, rows: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return the grids (n, cells, cells) and shifts (n, 2) of copies `rows`."""
        draws = [self.draw(row) for row in rows]
        cells = self._upsampling.cells
        grids = np.array([grid for grid, _ in draws], dtype=np.bool_).reshape(-1, cells, cells)
        return grids, np.array([shift for _, shift in draws], dtype=np.int64).reshape(-1, 2)
