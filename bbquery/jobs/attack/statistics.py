"""Statistics of attacks over photos, from each photo's distance: infinite where the attack failed.

1. Medians hold failures as infinite distances. Their interval is that of order statistics (Thompson 1936, "On
   confidence ranges for the median", Annals of Mathematical Statistics 7): no assumption of how distances are spread.
2. Two attacks on the same photos are paired. Which of them is nearer on more photos is the sign test; within a
   threshold, which succeeds on more photos is McNemar's test (1947, Psychometrika 12), which is the sign test of the
   photos on which one alone succeeds. Both are exact, from the binomial distribution, and two-sided.
3. How much nearer: the geometric mean of the ratios of distances, over photos on which both are finite, with a
   percentile bootstrap of the mean logarithm (Efron 1979).
4. Of fewer than six photos no interval is given. Six times heads has a two-sided probability of 2 / 2^6 = 3 %, five
   times 6 %: what fewer photos show can always be chance, however much alike they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.chance import OUTSIDE
from bbquery.jobs.intervals import Estimate, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 6  # photos of an interval
RESAMPLES = 10_000  # of the bootstrap
DRAWS = 0xB0075
"""Beside the seed, what the bootstrap draws from."""


def binomial(hits: int, n: int) -> float:
    """Return the probability of at most so many of n fair coins."""
    return sum(math.comb(n, k) for k in range(hits + 1)) / (1 << n)


def sign_test(one: int, other: int) -> float:
    """Return the two-sided probability that fair coins fall as unevenly as one : other, or more so."""
    return min(1.0, 2 * binomial(min(one, other), one + other))


def median(distances: Sequence[float]) -> Estimate:
    """Return the median of distances, infinite ones among them, and the 95 % interval of order statistics."""
    ordered, n = np.sort(np.array(distances, dtype=np.float64)), len(distances)
    if not n:
        return unknown()
    middle = float(ordered[(n - 1) // 2 : n // 2 + 1].mean())
    beyond = -1  # order statistics that may be left out on either side
    while 2 * binomial(beyond + 1, n) <= OUTSIDE:
        beyond += 1
    if beyond < 0:
        return Estimate(middle, math.nan, math.nan, n)
    return Estimate(middle, float(ordered[beyond]), float(ordered[n - 1 - beyond]), n)


def ratio(one: Sequence[float], other: Sequence[float], seed: int) -> Estimate:
    """Return the geometric mean of one / other where both are finite and not zero; n says of how many that is."""
    pairs = np.array([one, other], dtype=np.float64).reshape(2, -1)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0) & (pairs > 0).all(axis=0)]
    n = pairs.shape[1]
    if not n:
        return unknown()
    logarithms = np.log(pairs[0]) - np.log(pairs[1])
    centre = math.exp(float(logarithms.mean()))
    if n < FEWEST:
        return Estimate(centre, math.nan, math.nan, n)
    rows = np.random.default_rng((DRAWS, seed)).integers(n, size=(RESAMPLES, n))
    low, high = np.exp(np.quantile(logarithms[rows].mean(axis=1), (OUTSIDE / 2, 1 - OUTSIDE / 2))).tolist()
    return Estimate(centre, low, high, n)


def nearer(one: Sequence[float], other: Sequence[float]) -> tuple[int, int]:
    """Return on how many photos one is nearer than the other, and the other than it: what fails is the farther."""
    pairs = list(zip(one, other, strict=True))
    return sum(a < b for a, b in pairs), sum(b < a for a, b in pairs)
