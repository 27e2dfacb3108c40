"""Smooth binary masks: Gaussian noise smoothed by a Gaussian, and cut at 0.

Noise that is white on a grid as coarse as the smoothing's deviation s, spread by Gaussian weights, has the covariance
exp(-d² / 4s²) of smoothed white noise but for a ripple of 2 exp(-π²) = 10⁻⁴, at the cost of two small matrix products.
The grid reaches beyond the photo, so a mask near the border is like one in the middle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.perturb.rows import row_generator
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.rows import Key

REACH = 4  # standard deviations beyond which a weight is nothing


class SmoothBinaryMasks:
    """Masks (H, W), True where visible with probability ½. smooth: standard deviation of the smoothing, in pixels."""

    def __init__(self, size: tuple[int, int], smooth: float) -> None:
        self._down, self._across = (_weights(side, smooth) for side in size)

    @one_blas_thread
    def draw(self, key: Key, row: int, rows: int) -> NDArray[np.bool_]:
        """Return mask `row` of `rows`."""
        shape = (self._down.shape[1], self._across.shape[1])
        grid = row_generator(key, row, rows).standard_normal(shape, dtype=np.float32)
        return np.asarray(self._down @ grid @ self._across.T > 0)


def _weights(pixels: int, smooth: float) -> NDArray[np.float32]:
    """Return how much each pixel takes of each cell of the grid: (pixels, cells)."""
    cells = np.arange(-REACH, math.ceil(pixels / smooth) + REACH + 1) * smooth
    distance = (np.arange(pixels)[:, None] + 0.5 - cells) / smooth
    return np.exp(-0.5 * distance**2).astype(np.float32)
