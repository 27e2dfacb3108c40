"""Repeatability: do two seeds rank the pixels alike? Spearman's rank correlation of their maps.

1 is the same order, 0 is what unrelated maps get. It judges the method and its budget, not the model, and asks nothing
beyond the two maps. A map that is wrong the same way each time repeats perfectly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics._maps import checked

if TYPE_CHECKING:
    from numpy.typing import NDArray


def repeatability(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the rank correlation of two maps (H, W), -1 to 1; equal values share their mean rank.

    NaN where a map is constant. Values that are NaN in both maps, which the oracle did not see, are left out.

    Raises:
        UsageError: their shapes differ, or values are infinite or NaN in one of them only.
    """
    if np.shape(one) != np.shape(other):
        raise UsageError(f"maps of shapes {np.shape(one)} and {np.shape(other)} cannot be compared")
    seen = ~(np.isnan(one) & np.isnan(other))
    a, b = (_centred_ranks(checked(values[seen][None])) for values in (one, other))
    product = float(np.einsum("i,i->", a, b))
    lengths = math.sqrt(float(np.einsum("i,i->", a, a))) * math.sqrt(float(np.einsum("i,i->", b, b)))
    return product / lengths if lengths > 0 else math.nan


def _centred_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value, flat; equal ones have the mean of theirs. Ranks sum to 0."""
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    centred: NDArray[np.float64] = mean_ranks[place.ravel()] - (values.size + 1) / 2
    return centred
