"""Cells: parts of a photo that are shown or hidden together, as a hard grid, a smooth grid or labelled regions.

Visible is 1 and hidden is 0; a smooth grid has in-between pixels, since each pixel mixes the cells whose centres are
nearest. A map is spread over pixels with the very weights with which a mask is made, so that the effect of a cell lies
where it was shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one
from bbquery.perturb.rendering import blended
from bbquery.perturb.resizing import bilinear
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image


class Cells(Protocol):
    """Parts of a photo of (H, W) pixels.

    count: how many. centres: float64 (count, 2), their places (down, across) in units of a cell's side.
    """

    @property
    def count(self) -> int:
        """Number of cells."""

    @property
    def centres(self) -> NDArray[np.float64]:
        """Their places."""

    def spread(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return one value a cell (count,) as a map (H, W): of visibilities a mask, of effects a saliency map."""


class GridCells:
    """A grid of at most `cells` × `cells` rectangles over `size` (H, W) pixels; no side has more cells than pixels.

    smooth: whether visibility changes linearly between the centres of cells, and not at once at their edges.

    Raises:
        UsageError: cells below 1.
    """

    def __init__(self, size: tuple[int, int], cells: int, *, smooth: bool = True) -> None:
        at_least_one("cells", cells)
        self.shape = (min(cells, size[0]), min(cells, size[1]))
        self._down, self._across = (_weights(n, pixels, smooth) for n, pixels in zip(self.shape, size, strict=True))

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]

    @property
    def centres(self) -> NDArray[np.float64]:
        """Their places: whole numbers."""
        return np.indices(self.shape, dtype=np.float64).reshape(2, -1).T

    @one_blas_thread
    def spread(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return (count,) values as a map (H, W)."""
        spread: NDArray[np.floating[Any]] = self._down @ values.reshape(self.shape) @ self._across.T
        return spread


def _weights(cells: int, pixels: int, smooth: bool) -> NDArray[np.float32]:
    """Return (pixels, cells), rows of which sum to 1: the cell a pixel lies in, or the two nearest centres."""
    if smooth:
        return bilinear(cells, pixels)
    every = np.arange(pixels)
    weights = np.zeros((pixels, cells), dtype=np.float32)
    weights[every, every * cells // pixels] = 1
    return weights


class LabelledCells:
    """Regions of a photo, of any shape: superpixels. labels: (H, W), each of 0 to count - 1 somewhere.

    Raises:
        UsageError: labels are not the whole numbers from 0 without a gap.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        sizes = np.bincount(labels.ravel()) if labels.size and labels.min() >= 0 else np.zeros(1)
        if not sizes.all():
            raise UsageError("regions are labelled 0, 1, 2 … without a gap")
        self._labels, self._sizes = labels, sizes

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self._sizes)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Their centres of gravity, in units of the side of a square of a mean region's area."""
        side = np.sqrt(self._labels.size / self.count)
        places, flat = np.indices(self._labels.shape), self._labels.ravel()
        sums = np.array([np.bincount(flat, weights=place.ravel()) for place in places])
        centres: NDArray[np.float64] = sums.T / self._sizes[:, None] / side
        return centres

    def spread(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return (count,) values as a map (H, W)."""
        return values[self._labels]


class CellCopies:
    """Copies of x, each with some cells visible and `filling` in place of the others; rendered on demand.

    x, filling: (H, W, 3) in grey levels. visible: (n, count) of +1 (visible) and -1 (hidden).
    """

    def __init__(
        self, x: Image, filling: NDArray[np.float64], cells: Cells, visible: NDArray[np.int8], domain: Domain
    ) -> None:
        self._dtype: type[np.floating[Any]] = np.float32 if domain.dtype == "uint8" else np.float64
        self._filling = filling.astype(self._dtype)
        self._contrast: NDArray[np.floating[Any]] = np.subtract(x, self._filling, dtype=self._dtype)
        self._cells, self._visible, self._domain = cells, visible, domain

    def __len__(self) -> int:
        """Number of copies."""
        return len(self._visible)

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        mask = self._cells.spread((self._visible[row] > 0).astype(self._dtype))
        return blended(mask, self._contrast, self._filling, self._domain)
