"""Bilinear interpolation between the centres of pixels, by which maps, noise and small photos change size.

A place is a position along an axis in which pixel i has its centre at i. Each place mixes the two pixels whose centres
are nearest; beyond the centre of the outermost pixel that one alone counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def neighbours(
    places: NDArray[np.float64], length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the two of `length` pixels that each of `places` (k,) mixes, and the share of the second, 0 to 1."""
    inside = np.clip(places, 0, length - 1)
    lower = np.floor(inside).astype(int)
    return lower, np.minimum(lower + 1, length - 1), inside - lower


def mean_at(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first axis of `values` (n, m) interpolated at `places` (points, k): (k, m), the mean over points."""
    total = np.zeros((places.shape[1], values.shape[1]))
    for point in places:
        lower, upper, share = neighbours(point, len(values))
        of_upper = share[:, None]
        total += values[lower] * (1 - of_upper) + values[upper] * of_upper
    return total / len(places)
