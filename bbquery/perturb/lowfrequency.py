"""Noisy copies of a photo whose noise is smooth: Gaussian noise on a coarse grid, enlarged bilinearly.

Networks react to smooth changes far more than to independent ones of the same strength, and a grid has fewer values to
learn from as many answers (Li et al., "QEBA", 3.3, with their 56 × 56 grid; Guo et al., "Low Frequency Adversarial
Perturbation"). Every pixel's noise has the same standard deviation: bilinear weights are scaled to a root sum of
squares of 1, where plain interpolation would be weaker between the centres of cells.

Neighbouring values move together, so covariance(f, z) / variance(z) is not the gradient g of the score but C g, with C
the correlations of the noise: g smoothed to what the noise can express.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.interpolation import neighbours
from bbquery.perturb.checks import at_least_one
from bbquery.perturb.rendering import as_sent, scratch
from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image


class SmoothCopies:
    """`rows` copies of x, each with its own smooth Gaussian noise; rendered on demand.

    x: (H, W, 3) in grey levels, taken as `domain` would send it. sigma: standard deviation of each value's noise, in
    grey levels. cells: cells of the grid along each side; a side of no more pixels than that has a cell for each.

    Only sums and products of single values are used, no matrix product, so that a copy is the same to the bit on any
    number of threads.

    Raises:
        UsageError: cells below 1.
    """

    def __init__(self, x: Image, sigma: float, domain: Domain, *, rows: int, key: Key, cells: int = 56) -> None:
        at_least_one("cells", cells)
        self._dtype: type[np.float32 | np.float64] = np.float32 if domain.dtype == "uint8" else np.float64
        self._x: NDArray[np.floating[Any]] = domain.realise(x).astype(self._dtype)
        self._down = Enlarged(x.shape[0], cells, self._dtype)
        self._across = Enlarged(x.shape[1], cells, self._dtype)
        self._sigma = sigma
        self._domain, self._rows, self._key = domain, rows, key

    def __len__(self) -> int:
        """Number of copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        rng = row_generator(self._key, row, self._rows)
        grid = rng.standard_normal((self._across.cells, self._down.cells, 3), dtype=self._dtype)
        noise = self._down(np.ascontiguousarray(self._across(grid).swapaxes(0, 1)))
        noise *= self._sigma
        noise += self._x
        return as_sent(noise, self._domain)

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return what was sent as copy `row` minus x: (H, W, 3), float32 for uint8 pixels (exact), else float64."""
        change: NDArray[np.floating[Any]] = np.subtract(self[row], self._x, dtype=self._dtype)
        return change


class Enlarged:
    """The first axis of an array, from cells to pixels: each pixel mixes the two cells whose centres are nearest.

    Beyond the outermost cell's centre that cell alone counts.
    """

    def __init__(self, pixels: int, cells: int, dtype: type[np.float32 | np.float64]) -> None:
        self.cells = min(cells, pixels)
        places = (np.arange(pixels) + 0.5) * self.cells / pixels - 0.5
        self._lower, self._upper, share = neighbours(places, self.cells)
        weights: Any = np.stack([1 - share, share]) / np.hypot(1 - share, share)
        self._of_lower, self._of_upper = weights.astype(dtype)[..., None, None]

    def __call__(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Enlarge (cells, n, 3) to (pixels, n, 3)."""
        enlarged: NDArray[np.floating[Any]] = values[self._lower]
        upper = scratch("upper", enlarged.shape, values.dtype.type)
        np.take(values, self._upper, axis=0, out=upper, mode="clip")  # other modes fill another array first
        enlarged *= self._of_lower
        upper *= self._of_upper
        enlarged += upper
        return enlarged
