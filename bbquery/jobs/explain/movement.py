"""How little the answers to changed copies moved, where that is too little for a map to say much.

Such a map may be certain: of a model that says 99.9 % whatever is hidden, every hundredth of a point may be real. Yet
its colours have a scale of their own, and would show it like one that moved from 99 % to 3 %. Two things are little:

1. All values lie within 1 % of what the score can be: of a probability, or of what is one once the logarithm is taken
   back (log-odds, cross-entropy), one percentage point; else a hundredth of the range that the score declares. It is
   the range of all values, not of most: a small window that hides the one place that matters moves a few copies far,
   and that is what a map is asked for. A range that noise made wide is found out by `shuffling`.
2. The values are a yes or a no, and fewer than 1 % of them are not like the others.

A score without bounds (logits, margins of them) has no scale to be little on, and is never found to be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring.base import PROBABILITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import TargetMap
    from bbquery.scoring.base import About

LITTLE = 0.01  # as a share: of the range of the score, or of the answers
ROUNDING = 1e-6  # of a digit: what floating point adds to a difference is no reason to round up


def how_little(m: TargetMap) -> str:
    """Return how little a map's answers moved: "changed copies differ by at most 0.03 percentage points".

    Nothing where they moved enough, or where no scale is known.
    """
    about, values = m.score.about, m.recorded.values
    values = values[np.isfinite(values)] * (1 if about.direction == "higher" else -1)  # plans are sent what rises
    if len(values) < 2:
        return ""
    if np.isin(values, [about.low, about.high]).all() or np.ptp(values) == 0:
        return _alike(values)
    share = float(np.ptp(_shares(about, values)))
    if not share < LITTLE:
        return ""
    percents = _rounded_up(100 * share)
    unit = "percentage points" if _is_probability(about) else "% of the range of the score"
    return f"changed copies differ by at most {percents} {unit}"


def _alike(values: NDArray[np.float64]) -> str:
    highest = int(np.count_nonzero(values == values.max()))
    others = min(highest, len(values) - highest)
    if not others < LITTLE * len(values):
        return ""
    but = f"all but {others:,} of " if others else "all "
    return f"{but}{len(values):,} changed copies were answered alike"


def _shares(about: About, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values as shares of what the score can be, 0 to 1; NaN without bounds."""
    if about.unit in PROBABILITIES:
        return PROBABILITIES[about.unit](values)
    width = about.high - about.low
    return (values - about.low) / width if math.isfinite(width) else np.full(len(values), np.nan)


def _is_probability(about: About) -> bool:
    return about.unit in PROBABILITIES or (about.low, about.high) == (0.0, 1.0)


def _rounded_up(value: float) -> str:
    """Return a number above 0 in two significant digits, rounded up: what is said to be the most is no less."""
    if value == 0:
        return "0"
    digit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / digit - ROUNDING) * digit:.2g}"
