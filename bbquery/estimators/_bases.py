"""Directional derivatives along orthonormal bases, combined into a gradient.

A part of a basis leaves out what it does not span, so adding it to whole bases as if it were one would make a good
estimate worse. Once one basis is complete, the rows of a last, incomplete one are therefore asked for what the estimate
so far does *not* predict, and correct it by their share: for a linear score, by nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.estimators.statistics.pairs import PairedMoments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators.statistics.moments import Perturbed


class Mean:
    """The running mean of scores, NaN left out."""

    def __init__(self) -> None:
        self.answered, self._sum = 0, 0.0

    def add(self, scores: NDArray[np.float64]) -> None:
        """Add scores (n,)."""
        self.answered += int(np.count_nonzero(~np.isnan(scores)))
        self._sum += float(np.nansum(scores))

    @property
    def mean_score(self) -> float:
        """The mean; NaN of none."""
        return self._sum / self.answered if self.answered else math.nan


class Bases:
    """Running sums over mirrored pairs along orthonormal directions of `shape`, `queries` rows in all.

    variance: that of a value of a direction as it is sent, where that is known; None to use what was realised.
    """

    def __init__(self, shape: tuple[int, ...], queries: int, variance: float | None) -> None:
        self._size, self._variance = math.prod(shape), variance
        self._whole = queries // 2 // self._size  # bases that can be completed
        self._rows_left = 2 * self._whole * self._size or queries  # of them; of the only one, where it cannot be
        self._complete, self._partial = PairedMoments(shape), PairedMoments(shape)
        self._scores = Mean()

    def add(self, copies: Perturbed, scores: NDArray[np.float64]) -> None:
        """Add rows 0 to len(scores), of which 2i and 2i + 1 are a pair; rows without an answer (NaN) are left out."""
        self._scores.add(scores)
        first = min(self._rows_left, len(scores))
        self._rows_left -= first
        place = np.arange(len(scores))
        self._complete.add(copies, np.where(place < first, scores, np.nan))
        if first < len(scores):
            self._partial.add(copies, np.where(place < first, np.nan, self._unpredicted(copies, scores)))

    def _unpredicted(self, copies: Perturbed, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        slope = self._slope(self._complete)
        rows = range(len(scores))
        predicted = [0.0 if np.isnan(scores[row]) else np.vdot(slope, copies.realised(row)) for row in rows]
        return np.asarray(scores - np.array(predicted), dtype=np.float64)

    @property
    def answered(self) -> int:
        """Number of rows answered."""
        return self._scores.answered

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without an answer."""
        return self._scores.mean_score

    def gradient(self) -> NDArray[np.float64]:
        """Return the gradient in the coordinates of the directions, of the given shape; unbiased over their draw."""
        asked = self._partial.answered / 2 / self._size  # the share of the last basis
        return self._slope(self._complete) + self._slope(self._partial) * asked / (self._whole + 1)

    def _slope(self, moments: PairedMoments) -> NDArray[np.float64]:
        return moments.slope() if self._variance is None else moments.weighted() / self._variance
