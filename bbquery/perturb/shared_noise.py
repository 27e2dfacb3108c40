"""Gaussian noise that the channels of a pixel share, drawn for each pixel or on a coarse grid and enlarged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.added import AddedCopies, precision
from bbquery.perturb.lowfrequency import Enlarged
from bbquery.perturb.rendering import as_sent, scratch
from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.added import Change
    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image


def at_most_whole(name: str, value: float) -> None:
    """Check that `value` is above 0 and at most 1.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value <= 1:
        raise UsageError(f"{name} must be above 0 and at most 1, not {value!r}")


class GreyNoise:
    """Noise for photos of `size` (H, W), from grids of `resize` times its sides.

    Every pixel's standard deviation is sigma, in grey levels, also between the centres of cells.
    """

    def __init__(self, size: tuple[int, int], sigma: float, resize: float, domain: Domain) -> None:
        self._dtype = precision(domain)
        self._sigma = sigma
        self._down, self._across = (Enlarged(side, math.ceil(side * resize), self._dtype) for side in size)
        self._enlarge = resize < 1
        self._size = size

    def change(self, *, rows: int, key: Key) -> Change:
        """Return the change of each of `rows`, (H, W)."""

        def drawn(row: int) -> NDArray[np.floating[Any]]:
            shape = (self._across.cells, self._down.cells, 1)
            noise: NDArray[np.floating[Any]] = row_generator(key, row, rows).standard_normal(shape, dtype=self._dtype)
            noise *= self._sigma
            if not self._enlarge:
                return noise.swapaxes(0, 1)[..., 0]
            return self._down(np.ascontiguousarray(self._across(noise).swapaxes(0, 1)))[..., 0]

        return drawn

    def correlations(self) -> NDArray[np.float64]:
        """Return the sum of the correlations of each pixel's noise with that of all pixels, (H, W); 1 at full size."""
        if not self._enlarge:
            return np.ones(self._size)
        return np.multiply.outer(_summed(self._down), _summed(self._across))


def _summed(axis: Enlarged) -> NDArray[np.float64]:
    weights = axis(np.eye(axis.cells, dtype=np.float64)[..., None])[..., 0]
    summed: NDArray[np.float64] = (weights * weights.sum(axis=0)).sum(axis=1)
    return summed


class GreyCopies(AddedCopies):
    """`rows` copies of x whose channels change alike.

    x: (H, W, 3) in grey levels, taken as `domain` would send it. change: what is added to a row, (H, W). A perturbation
    is reported as its mean over the channels.

    Each channel is computed by itself: broadcasting over an axis of three values is slow.
    """

    def __init__(self, x: Image, domain: Domain, change: Change, *, rows: int) -> None:
        super().__init__(x, domain, change, rows=rows)
        self._x = np.ascontiguousarray(np.moveaxis(self._x, -1, 0))

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype.

        Raises:
            IndexError: there is no such row; rows are not counted from the end.
        """
        image: Image = np.stack(list(super().__getitem__(row)), axis=-1)
        return image

    def _render(self, row: int) -> Image:
        channels = scratch("channels", self._x.shape, self._dtype)
        return as_sent(np.add(self._x, self._change(row), out=channels), self._domain)

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return the mean (H, W) over the channels of what was sent as copy `row` minus the original."""
        change = super().realised(row)
        mean: NDArray[np.floating[Any]] = change[0] + change[1]
        mean += change[2]
        mean /= 3
        return mean
