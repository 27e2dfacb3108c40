"""Noisy copies of a photo: independent noise in every value, alone or in mirrored pairs.

The noise of a row is drawn from its key and number; of a mirrored pair, rows 2i and 2i + 1, from the key and i.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.perturb.added import AddedCopies, precision
from bbquery.perturb.densities import draw
from bbquery.perturb.rendering import scratch
from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.added import Change
    from bbquery.perturb.densities import Density
    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image


def noise(x: Image, density: Density, sigma: float, domain: Domain, *, rows: int, key: Key) -> Change:
    """Return the change that adds independent noise of this density and standard deviation to each value of x."""
    dtype, shape = precision(domain), x.shape

    def change(row: int) -> NDArray[np.floating[Any]]:
        return draw(density, sigma, shape, row_generator(key, row, rows), dtype)

    return change


def mirrored(change: Change) -> Change:
    """Return the change whose rows 2i and 2i + 1 are row i of `change` and its negative.

    change: gives every row an array of its own. Rows are rendered one after the other, so the last pair is kept, in one
    assignment that any thread may read.
    """
    last: tuple[int, NDArray[np.floating[Any]]] | None = None

    def signed(row: int) -> NDArray[np.floating[Any]]:
        nonlocal last
        kept = last
        if kept is None or kept[0] != row // 2:
            kept = last = (row // 2, change(row // 2))
        given: NDArray[np.floating[Any]] = scratch("mirrored", kept[1].shape, kept[1].dtype.type)
        np.multiply(kept[1], -1 if row % 2 else 1, out=given)
        return given

    return signed


class GaussianCopies(AddedCopies):
    """`rows` copies of x, each with its own independent Gaussian noise in every value.

    x: (H, W, 3) in grey levels, taken as `domain` would send it. sigma: standard deviation, in grey levels.
    """

    def __init__(self, x: Image, sigma: float, domain: Domain, *, rows: int, key: Key) -> None:
        super().__init__(x, domain, noise(x, "gaussian", sigma, domain, rows=rows, key=key), rows=rows)
