"""Probabilities that chance alone explains a difference: of one test, and of several together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.drift import two_sided

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

OUTSIDE = 0.05  # the probability that an interval, or a test, is wrong


def of_mean(values: NDArray[np.float64]) -> float:
    """Return the two-sided probability that the mean of values (n,) is as far from 0 by chance: Student's t."""
    n, centre = len(values), abs(float(values.mean())) if len(values) else 0.0
    if n < 2 or not centre:
        return 1.0
    error = float(values.std(ddof=1)) / math.sqrt(n)
    return two_sided(centre / error, n - 1) if error else 0.0


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return probabilities of chance of several tests, each raised for how many there are (Holm 1979)."""
    adjusted, least = [1.0] * len(probabilities), 0.0
    order = sorted(range(len(probabilities)), key=lambda place: probabilities[place])
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * probabilities[place]))
        adjusted[place] = least
    return adjusted
