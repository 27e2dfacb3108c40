"""Numbers with the interval that holds the truth 95 times in 100, from small samples, without SciPy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959963984540054  # the normal distribution's 97.5th percentile
Z_90 = 1.6448536269514722  # its 95th, of an interval that holds the truth 90 times in 100

NO_SPREAD = 1e-24  # a variance, of the range squared: no more than float64 rounds by

Bounds: TypeAlias = tuple[float, float]
"""The least and the most that an observation can be."""
UNBOUNDED: Bounds = (-math.inf, math.inf)
A_SHARE: Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Estimate:
    """A number, the ends of its 95 % interval, and from how many observations; NaN where they do not tell."""

    value: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether the observations tell anything."""
        return not math.isnan(self.value)


def unknown(n: int = 0) -> Estimate:
    """Return what n observations tell that tell nothing."""
    return Estimate(math.nan, math.nan, math.nan, n)


def rate(hits: int, n: int) -> Estimate:
    """Return a share with Wilson's interval (Wilson 1927; Brown, Cai & DasGupta 2001 recommend it for small n)."""
    if not n:
        return unknown()
    share = hits / n
    return Estimate(share, *_wilson(share, n, Z), n)


def _wilson(share: float, n: float, z: float) -> Bounds:
    """Return the ends of Wilson's interval of a share of n observations. z: its half width, in deviations."""
    weight = z**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def mean(values: NDArray[np.float64], z: float = Z) -> Estimate:
    """Return the mean of values (n,), NaN left out, with Student's interval. z: its half width, in deviations."""
    known = values[~np.isnan(values)]
    n = len(known)
    if n < 2:
        return Estimate(float(known[0]), math.nan, math.nan, 1) if n else unknown()
    centre = float(known.mean())
    half = _student(n - 1, z) * float(known.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, centre - half, centre + half, n)


def mean_between(values: NDArray[np.float64], bounds: Bounds, z: float = Z) -> Estimate:
    """Return the mean of values (n,) that can be no less and no more, NaN left out, with an interval between these.

    It is Wilson's interval of the mean's place between the bounds, over as many yes-or-no observations as would have a
    mean as uncertain, with Student's percentile, as surveys do (Dean & Pagano 2015). Equal values, which show no
    spread, count as so many yes-or-no observations. Without bounds it is Student's.
    """
    least, most = bounds
    plain, known = mean(values, z), values[~np.isnan(values)]
    if plain.n < 2 or not math.isfinite(most - least):
        return plain
    share = min(max((plain.value - least) / (most - least), 0.0), 1.0)
    spread, variance = share * (1 - share), float(known.var(ddof=1)) / plain.n / (most - least) ** 2
    if min(spread, variance) < NO_SPREAD:
        low, high = _wilson(share, plain.n, z)
    else:
        low, high = _wilson(share, spread / variance, _student(plain.n - 1, z))
    return Estimate(plain.value, least + low * (most - least), least + high * (most - least), plain.n)


def widest(*several: Bounds) -> Bounds:
    """Return bounds that hold for all of several kinds of observations."""
    return min(least for least, _ in several), max(most for _, most in several)


def deviation(values: NDArray[np.float64]) -> Estimate:
    """Return the standard deviation of values (n,), NaN left out; the interval is exact where they are normal."""
    known = values[~np.isnan(values)]
    n = len(known)
    if n < 2:
        return unknown(n)
    sd = (
        0.0 if np.ptp(known) == 0 else float(known.std(ddof=1))
    )  # equal values have none, whatever their mean rounds to
    free = n - 1
    return Estimate(sd, sd * math.sqrt(free / _chi_square(free, Z)), sd * math.sqrt(free / _chi_square(free, -Z)), n)


def difference(before: Estimate, after: Estimate) -> Estimate:
    """Return by how much one share exceeds another, with Newcombe's interval (1998, method 10); n is the smaller one.

    Of pairs, of which it knows nothing, it is wider than it need be.
    """
    if not (before.known and after.known):
        return unknown()
    value = after.value - before.value
    below = math.hypot(after.value - after.low, before.high - before.value)
    above = math.hypot(after.high - after.value, before.value - before.low)
    return Estimate(value, value - below, value + above, min(before.n, after.n))


def _student(free: int, z: float = Z) -> float:
    """Return the percentile of Student's t, with so many degrees of freedom, where the normal distribution has z.

    Exact for 1 and 2, then Abramowitz & Stegun 26.7.5, within 0.2 % of it at the 97.5th percentile.
    """
    both = math.erf(z / math.sqrt(2))  # the share within z on both sides
    if free == 1:
        return math.tan(math.pi * both / 2)
    if free == 2:
        return both * math.sqrt(2 / (1 - both**2))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + float(sum(term / free**power for power, term in enumerate(terms, start=1)))


def _chi_square(free: int, z: float) -> float:
    """Return the percentile of chi-square where the normal distribution has z.

    Wilson & Hilferty (1931): within 10 % for 4 degrees of freedom, which five looks have, and 2 % for 9.
    """
    spread = 2 / (9 * free)
    return float(free * max(1 - spread + z * math.sqrt(spread), 1e-3) ** 3)
