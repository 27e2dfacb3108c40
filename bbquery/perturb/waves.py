"""The lowest waves of the discrete cosine transform (DCT-II) of photos, as an orthonormal basis in each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.perturb.directions import cosines
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.added import AddedCopies, Floats
    from bbquery.types import Image

BLOCK = 32  # frequencies down


class Waves:
    """The lowest `frequencies` waves along each side of photos of `size` (H, W).

    shape: of coefficients: (frequencies down, frequencies across, 3), no more than pixels.
    """

    def __init__(self, size: tuple[int, int], frequencies: int, dtype: Floats) -> None:
        self._down, self._across = (cosines(side)[:frequencies] for side in size)
        self.shape = (len(self._down), len(self._across), 3)
        self._dtype = dtype
        self._in_type: tuple[NDArray[Any], NDArray[Any]] = self._down.astype(dtype), self._across.astype(dtype)

    def synthesis(self, coefficients: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the waves' sum (H, W, 3), float64."""
        return _sum(coefficients, self._down, self._across)

    def render(self, coefficients: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return the waves' sum (H, W, 3) in the precision of what is sent."""
        return _sum(coefficients.astype(self._dtype, copy=False), *self._in_type)

    @one_blas_thread
    def render_lowest(
        self, coefficients: NDArray[np.floating[Any]], counts: NDArray[np.intp]
    ) -> NDArray[np.floating[Any]]:
        """Return `render(coefficients)` up to rounding, in less time where many are zero.

        counts: of each frequency down, how many of the lowest across may be other than zero.
        """
        down, across = self._in_type
        rows = np.zeros((len(down), across.shape[1], 3), self._dtype)
        for first in range(0, len(down), BLOCK):
            part = slice(first, first + BLOCK)
            most = counts[part].max()
            rows[part] = _across(coefficients[part, :most], across[:most])
        return _mirrored(rows, down)

    def noise(self, rng: np.random.Generator, fields: int) -> NDArray[np.floating[Any]]:
        """Draw fields of noise (n, H, W, 3): coefficients are Gaussian with a standard deviation of 1."""
        coefficients = rng.standard_normal((fields, *self.shape), dtype=self._dtype)
        return np.stack([self.render(each) for each in coefficients])

    @one_blas_thread
    def analysis(self, values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Return the coefficients of values (H, W, 3), in the precision of what is sent."""
        (down, across), (height, width, _) = self._in_type, values.shape
        rows = (down @ values.reshape(height, -1)).reshape(-1, width, 3)
        return np.stack([rows[..., channel] @ across.T for channel in range(3)], axis=-1)


@one_blas_thread
def _sum(
    coefficients: NDArray[np.floating[Any]], down: NDArray[np.floating[Any]], across: NDArray[np.floating[Any]]
) -> NDArray[Any]:
    return _down(_across(coefficients, across), down)


def _across(coefficients: NDArray[np.floating[Any]], across: NDArray[np.floating[Any]]) -> NDArray[Any]:
    return np.stack([coefficients[..., channel] @ across for channel in range(3)], axis=-1)


def _down(rows: NDArray[Any], down: NDArray[np.floating[Any]]) -> NDArray[Any]:
    _, width, channels = rows.shape
    values: NDArray[Any] = down.T @ rows.reshape(len(down), width * channels)
    return values.reshape(-1, width, channels)


def _mirrored(rows: NDArray[Any], down: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Return `_down(rows, down)` from half the products: even waves are symmetric, and odd ones are antisymmetric."""
    height = down.shape[1]
    half = (height + 1) // 2
    even, odd = (_down(rows[parity::2], down[parity::2, :half]) for parity in (0, 1))
    values = np.empty((height, *even.shape[1:]), even.dtype)
    np.subtract(even, odd, out=values[::-1][:half])
    np.add(even, odd, out=values[:half])
    return values


class WaveCopies:
    """Copies whose perturbation is reported in coefficients of waves."""

    def __init__(self, copies: AddedCopies, waves: Waves) -> None:
        self._copies, self._waves = copies, waves

    def __len__(self) -> int:
        """Number of copies."""
        return len(self._copies)

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        return self._copies[row]

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return the coefficients of what was sent as copy `row` minus the original."""
        return self._waves.analysis(self._copies.realised(row))
