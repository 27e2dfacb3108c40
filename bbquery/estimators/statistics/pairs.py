"""Running sums of score differences between the two rows of mirrored pairs, times the perturbation.

A pair is its own control: half the difference of its scores has no even term of the score in it, neither the score at
the photo nor its curvature, so a score that is even around the photo gives exactly 0.

Theory. Regress scores on perturbations with one mean for each group of rows. A pair is a group, and adds Δf Δz / 2 to
the scatter of score and perturbation and Δz² / 2 to that of the perturbation. Rows that lost their partner, by a
refusal or at the end, form one more group, with their own mean. Nothing that was answered is thrown away.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.estimators.statistics.moments import Moments, ratio
from bbquery.perturb.rendering import scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators.statistics.moments import Perturbed


class PairedMoments:
    """Scatter within groups of a score and a perturbation of `shape`, over the rows that were answered."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._sum_fz, self._sum_zz = np.zeros(shape), np.zeros(shape)
        self._scores = 0.0
        self._pairs = 0
        self._alone: Moments | None = None  # large, and seldom needed

    def add(self, copies: Perturbed, scores: NDArray[np.float64]) -> None:
        """Add rows 0 to len(scores), of which 2i and 2i + 1 are a pair; rows without an answer (NaN) are left out."""
        there = ~np.isnan(scores)
        first, second = there[0::2], np.zeros(len(there[0::2]), dtype=np.bool_)
        second[: len(there) // 2] = there[1::2]
        for pair in np.flatnonzero(first & second).tolist():
            self._add_pair(copies, 2 * pair, float(scores[2 * pair]), float(scores[2 * pair + 1]))
        whole = np.repeat(first & second, 2)[: len(scores)]
        if (there & ~whole).any():
            self._alone = self._alone or Moments(self._shape)
            self._alone.add(copies, np.where(whole, np.nan, scores))

    def _add_pair(self, copies: Perturbed, row: int, f: float, g: float) -> None:
        change = scratch("change", self._shape, np.float64)
        change[...] = copies.realised(row)
        change -= copies.realised(row + 1)
        self._sum_fz += np.multiply(change, (f - g) / 2, out=scratch("weighted change", self._shape, np.float64))
        np.square(change, out=change)
        change /= 2
        self._sum_zz += change
        self._scores += f + g
        self._pairs += 1

    @property
    def answered(self) -> int:
        """Number of rows answered."""
        return 2 * self._pairs + (self._alone.answered if self._alone else 0)

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without an answer."""
        if not self.answered:
            return math.nan
        alone = self._alone.mean_score * self._alone.answered if self._alone else 0.0
        return (self._scores + alone) / self.answered

    def weighted(self) -> NDArray[np.float64]:
        """Return the mean of score times perturbation, centred within groups, of the given shape.

        A pair counts as its two rows, and n rows alone as n - 1; 0 where there is nothing to compare.
        """
        alone = self._alone.answered - 1 if self._alone else 0
        return self._scatter() / max(2 * self._pairs + alone, 1)

    def slope(self) -> NDArray[np.float64]:
        """Return the scatter of score and perturbation over that of the perturbation; 0 where that never moved."""
        scatter, spread = self._scatter(), self._sum_zz
        if self._alone:
            spread = spread + self._alone.variance() * (self._alone.answered - 1)
        return ratio(scatter, spread)

    def _scatter(self) -> NDArray[np.float64]:
        if not self._alone:
            return self._sum_fz.copy()
        total: NDArray[np.float64] = self._sum_fz + self._alone.covariance() * (self._alone.answered - 1)
        return total
