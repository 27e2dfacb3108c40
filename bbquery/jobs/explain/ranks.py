"""Rank correlation of two maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.metrics.repeatability import repeatability

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of two maps of one shape, -1 to 1, over the pixels where both have a value.

    NaN where a map is constant there, or where there is no such pixel: a picture is drawn whatever a method returned.
    """
    both = np.isfinite(one) & np.isfinite(other)
    return repeatability(one[both][None], other[both][None]) if both.any() else math.nan
