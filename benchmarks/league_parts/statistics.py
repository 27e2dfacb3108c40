"""Means with 95 % intervals: bootstrap over subjects (photos, games), paired where methods are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
FEW = 5  # subjects, below which an interval of theirs would be too narrow to mean anything


class Estimate(NamedTuple):
    """A mean, the ends of its 95 % interval, and over how many subjects; the ends are NaN below five."""

    mean: float
    low: float
    high: float
    n: int

    def told(self, digits: int) -> str:
        """Return it as text, to so many digits; without an interval where there is none."""
        if np.isnan(self.low):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def mean(values: Mapping[str, float]) -> Estimate:
    """Return the mean over subjects with its percentile bootstrap interval.

    The draws depend on how many subjects there are and on nothing else, so tables repeat to the last digit.
    """
    found = _finite(np.array([values[subject] for subject in sorted(values)]))
    if len(found) < FEW:
        return Estimate(float(found.mean()) if len(found) else np.nan, np.nan, np.nan, len(found))
    drawn = np.random.default_rng(len(found)).integers(len(found), size=(RESAMPLES, len(found)))
    low, high = np.quantile(found[drawn].mean(axis=1), (0.025, 0.975))
    return Estimate(float(found.mean()), float(low), float(high), len(found))


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> Estimate:
    """Return the mean of one - other over the subjects that both have, with its paired interval."""
    return mean({subject: one[subject] - other[subject] for subject in one.keys() & other.keys()})


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
