"""Reliability of scores: how much of their variance is due to the masks, and how much to chance.

One-way random effects. Mask i, asked n_i times, scores y_ij = μ + b_i + w_ij: b has the variance *between* masks, w the
variance *within* a mask, which is noise. Of N scores of a masks,

    MSB = Σ n_i (ȳ_i - ȳ)² / (a - 1)       MSW = ΣΣ (y_ij - ȳ_i)² / (N - a)       n0 = (N - Σ n_i² / N) / (a - 1)
    within = MSW       between = (MSB - MSW) / n0, not below 0       reliability = between / (between + within)

The *reliability* is the intraclass correlation ICC(1) of a single answer (Shrout & Fleiss 1979, "Intraclass
correlations", case 1; with unequal n_i: Donner 1986): the share of a score's variance that is not noise, and the
correlation of two answers to the same mask. 1 is no noise, 0 is nothing else. Masks of several conditions are compared
within their condition only: sums of squares and degrees of freedom add up.

Intervals are the bootstrap's, over masks within their condition (percentiles of 1,000 resamples).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.intervals import Estimate
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
ROUNDING = 1e-10  # of a score's size: what differs less is the same number, computed in another order
TOLD_APART = 0.1  # of shares that a coarse map explains: the standard error of 0 from 50 masks and 9 blocks
MOST_CHANCE = 0.02  # the probability up to which a share is no chance
DRAWS = 10_000  # from the distribution of chance
FEWEST_FOR_A_LINE = 30  # masks: three for each coefficient of a map of 3 × 3 blocks


@dataclass(frozen=True, eq=False)
class Looks:
    """The scores of masks, summed up: counts of answers, means and sums of squares within, each (..., masks).

    of: the condition of each mask, (masks,). Masks without an answer are left out.
    """

    counts: NDArray[np.float64]
    means: NDArray[np.float64]
    squares: NDArray[np.float64]
    of: NDArray[np.int64]

    @classmethod
    def of_values(cls, values: NDArray[np.float64], of: NDArray[np.int64]) -> Looks:
        """Sum up values (masks, repeats), NaN where there is no answer."""
        known = ~np.isnan(values)
        counts = known.sum(axis=1)
        there = counts > 0
        values, known, counts = values[there], known[there], counts[there].astype(np.float64)
        means = np.where(known, values, 0.0).sum(axis=1) / counts
        squares = (np.where(known, values - means[:, None], 0.0) ** 2).sum(axis=1)
        return cls(counts, means, squares, of[there])

    def taken(self, masks: NDArray[np.int64]) -> Looks:
        """Return the masks of these indices (..., masks), each of which lies in the condition of its place."""
        return Looks(self.counts[masks], self.means[masks], self.squares[masks], self.of)

    def only(self, chosen: NDArray[np.bool_]) -> Looks:
        """Return some of the masks."""
        return Looks(self.counts[..., chosen], self.means[..., chosen], self.squares[..., chosen], self.of[chosen])

    def resampled(self, rng: np.random.Generator) -> Looks:
        """Return `RESAMPLES` samples of the masks with replacement, condition by condition."""
        masks = np.empty((RESAMPLES, len(self.of)), dtype=np.int64)
        for condition in np.unique(self.of):
            own = np.flatnonzero(self.of == condition)
            masks[:, own] = rng.choice(own, size=(RESAMPLES, len(own)))
        return self.taken(masks)


@dataclass(frozen=True, eq=False)
class Components:
    """Variances between and within masks, and the reliability; NaN where the looks do not tell."""

    between: NDArray[np.float64]
    within: NDArray[np.float64]

    @property
    def reliability(self) -> NDArray[np.float64]:
        """The share of the variance that is not noise; NaN where nothing varies."""
        total = np.asarray(self.between + self.within)
        found: NDArray[np.float64] = np.full(total.shape, np.nan)
        np.divide(self.between, total, out=found, where=total > 0)
        return found


def components(looks: Looks) -> Components:
    """Return the components of variance, of each sample where there are several; NaN where no look was repeated."""
    above, between_free, within_free, sizes = 0.0, 0, 0.0, 0.0
    for condition in np.unique(looks.of):
        own = looks.only(looks.of == condition)
        n = own.counts.sum(axis=-1)
        centre = (own.counts * own.means).sum(axis=-1) / n
        above = above + (own.counts * (own.means - centre[..., None]) ** 2).sum(axis=-1)
        sizes = sizes + n - (own.counts**2).sum(axis=-1) / n
        between_free += own.counts.shape[-1] - 1
        within_free = within_free + n - own.counts.shape[-1]
    scale = (ROUNDING * np.abs(looks.means).max(initial=0.0)) ** 2
    within = _mean_square(looks.squares.sum(axis=-1), within_free, scale)
    msb = _mean_square(np.asarray(above), between_free, scale)
    n0 = np.asarray(sizes) / max(between_free, 1)
    between = np.maximum(msb - within, 0) / np.where(n0 > 0, n0, 1)
    return Components(between, within)


def _mean_square(squares: NDArray[np.float64], free: NDArray[np.float64] | float, scale: float) -> NDArray[np.float64]:
    """Return squares / free, 0 where that is rounding, NaN without a degree of freedom."""
    free = np.broadcast_to(np.asarray(free, dtype=np.float64), squares.shape)
    found = np.divide(squares, free, out=np.full(squares.shape, np.nan), where=free > 0)
    return np.where(found <= scale, 0.0, found)


def interval(value: float, resamples: NDArray[np.float64], n: int) -> Estimate:
    """Return a value with the bootstrap's percentile interval; resamples that tell nothing are left out."""
    known = resamples[~np.isnan(resamples)]
    if np.isnan(value) or not len(known):
        return Estimate(value, np.nan, np.nan, n)
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(value, float(low), float(high), n)


@dataclass(frozen=True)
class Explained:
    """The share of the differences between masks that a coarse linear map explains, 0 to 1; NaN where it is unknown.

    chance: the probability of as large a share where scores have nothing to do with the masks.
    """

    share: float
    chance: float

    @property
    def seen(self) -> bool:
        """Whether it is a share worth a map, and more than chance."""
        return self.share >= TOLD_APART and self.chance <= MOST_CHANCE


UNKNOWN = Explained(float("nan"), float("nan"))


@one_blas_thread
def explained(means: NDArray[np.float64], blocks: NDArray[np.float64], of: NDArray[np.int64]) -> Explained:
    """Return the share of the differences between masks that a coarse linear map explains: what can be found at all.

    means: (masks,) scores. blocks: (masks, b) how much of each block is visible. of: (masks,) conditions, of which only
    differences within count. It is the adjusted R² of least squares (Wherry 1931; Ezekiel's form), 0 on average where
    scores have nothing to do with the masks, and not below: 1 - (SSE / (n - g - b)) / (SST / (n - g)) for g conditions.
    There 1 - SSE / SST follows the beta distribution of b / 2 and (n - g - b) / 2 (the F test of the regression).
    `UNKNOWN` for fewer than 30 masks or where nothing differs.
    """
    if len(means) < FEWEST_FOR_A_LINE:
        return UNKNOWN
    levels = (of[:, None] == np.unique(of)).astype(np.float64)
    columns = np.hstack([levels, blocks])
    rank = int(np.linalg.matrix_rank(columns))
    total = _squares_about(means, levels)
    if total <= len(means) * (ROUNDING * np.abs(means).max(initial=0.0)) ** 2 or rank >= len(means):
        return UNKNOWN
    left, free = _squares_about(means, columns), len(means) - rank
    share = max(0.0, 1 - (left / free) / (total / float(len(means) - levels.shape[1])))
    by_chance = np.random.default_rng(0).beta(max(rank - levels.shape[1], 1) / 2, free / 2, DRAWS)
    return Explained(share, float((by_chance >= 1 - left / total).mean()))


def _squares_about(values: NDArray[np.float64], columns: NDArray[np.float64]) -> float:
    """Return the sum of squares that least squares on these columns leaves."""
    fit, *_ = np.linalg.lstsq(columns, values, rcond=None)
    return float(((values - columns @ fit) ** 2).sum())
