"""The grid pointing game (Böhle et al., "Convolutional dynamic alignment networks"): evidence in a montage of photos.

Photos of different classes, each recognised with confidence, are laid out in a square. The montage is explained for the
class of one of them; the share of the map's positive side that lies in that photo's cell should be near 1, and a map
without preference gets 1 / number of cells. Unlike boxes, cells are known without annotation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics._boxes import Box
from bbquery.metrics.r_sal import r_sal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.types import Image


def montage(photos: Sequence[Image]) -> Image:
    """Return n × n photos (H, W, 3) in one (n H, n W, 3), in rows from the top left.

    Raises:
        UsageError: they are not a square number, 4 or more, or not all of one size and dtype.
    """
    n = math.isqrt(len(photos))
    if n < 2 or n * n != len(photos):
        raise UsageError(f"{len(photos)} photos make no square montage: give 4, or 9")
    if len({(photo.shape, photo.dtype) for photo in photos}) > 1:
        raise UsageError("photos of different sizes or dtypes make no montage: bring them to one size first")
    rows = [np.concatenate(photos[n * row : n * (row + 1)], axis=1) for row in range(n)]
    whole: Image = np.concatenate(rows, axis=0)
    return whole


def cell_share(values: NDArray[np.float64], cell: int, cells: int) -> float:
    """Return the share of the positive side of a map (H, W) of a montage that lies in one cell, 0 to 1.

    cell: from 0, in rows from the top left, of `cells` (4 or 9). NaN where nothing is positive; NaN values of the map,
    which the oracle did not see, do not count: crop nothing, or the outer cells lose some of theirs.

    Raises:
        UsageError: cells is no square number from 4, there is no such cell, or cells do not divide the map evenly.
    """
    n = math.isqrt(cells)
    if n < 2 or n * n != cells or not 0 <= cell < cells:
        raise UsageError(f"cell {cell} of {cells} is none: give a square number of cells, and count them from 0")
    if values.shape[0] % n or values.shape[1] % n:
        raise UsageError(f"a map of shape {values.shape} has no {n} × {n} equal cells")
    height, width = values.shape[0] // n, values.shape[1] // n
    return r_sal(values, [Box(cell % n * width, cell // n * height, width, height)])
