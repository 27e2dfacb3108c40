"""AOPC: how much of a score is lost, on average, while all pixels are hidden (Samek et al., 2017; as GEEX reports it).

The area over the perturbation curve, 1/(L + 1) Σ (f(x₀) - f(x_k)) over k = 0 ... L, as a share of f(x₀): that is
1 - mean(trend) / trend[0] of a deletion curve down to nothing. Higher is better, 0 is a score that never falls. It
compares only at the fill and the steps of its curve, which `Curves` carries.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def aopc(trend: NDArray[np.float64]) -> float:
    """Return 1 - mean(trend) / trend[0], without unit.

    trend: float64 (steps + 1,), the scores of a deletion, the whole photo's first, such as `Curves.deletion`. NaN where
    the whole photo's score is not above 0: a share of it means nothing then, as with log-probabilities.
    """
    if not trend[0] > 0:
        return math.nan
    return float(1 - trend.mean() / trend[0])
