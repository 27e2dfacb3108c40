"""Randomness of rows: a generator from a key and the row's number, never a stream that threads could race for.

So a row is the same whenever, wherever and however often it is rendered, and a plan may draw it a second time
instead of keeping it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

Key: TypeAlias = tuple[int, ...]
"""What a sequence of rows is drawn from: (seed, step), non-negative integers."""


def row_generator(key: Key, row: int, rows: int) -> np.random.Generator:
    """Return the generator of row `row` of `rows`, fresh at each call.

    Raises:
        IndexError: there is no such row; rows are not counted from the end.
    """
    if not 0 <= row < rows:
        raise IndexError(f"row {row} of {rows}")
    return np.random.default_rng((*key, row))
