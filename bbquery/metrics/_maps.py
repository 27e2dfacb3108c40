"""Checks of maps that metrics share, and ranking of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked(values: NDArray[np.float64], size: tuple[int, int] | None = None) -> NDArray[np.float64]:
    """Return a map (H, W) as float64 once it is of this size and finite everywhere.

    Raises:
        UsageError: it is not.
    """
    if np.ndim(values) != 2 or (size is not None and np.shape(values) != size):
        wanted = "of shape (height, width)" if size is None else f"one value for each of the {size} pixels"
        raise UsageError(f"a map must be {wanted}, not of shape {np.shape(values)}")
    floats = np.asarray(values, dtype=np.float64)
    if not np.isfinite(floats).all():
        raise UsageError("a map must be finite everywhere: it has NaN or infinite values")
    return floats


def ranks(values: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Return the rank of each value, of the same shape: 0 is the highest; equal ones are in an order drawn from seed.

    Without the draw, the many equal values of a blocky map would be ranked from the top left to the bottom right.
    """
    flat = values.ravel()
    drawn = np.random.default_rng((seed, flat.size)).permutation(flat.size)
    out = np.empty(flat.size, dtype=np.int64)
    out[np.lexsort((drawn, -flat))] = np.arange(flat.size)
    return out.reshape(values.shape)
