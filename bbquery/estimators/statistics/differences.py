"""Running sums of score differences to the unperturbed photo, times the perturbation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.estimators.statistics.moments import Moments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.estimators.statistics.moments import Perturbed


class ForwardDifferences:
    """Running sums of a score and a perturbation of `shape`, whose very first row is the photo, unperturbed.

    If that row was not answered, scores are differences to their mean, so that the other answers are not lost.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._photo = math.nan
        self._ahead: Moments | None = None

    def add(self, copies: Perturbed, scores: NDArray[np.float64]) -> None:
        """Add rows 0 to len(scores); rows without an answer (NaN) are left out."""
        if self._ahead is None:
            self._photo, scores = float(scores[0]), scores.copy()
            scores[0] = math.nan
            self._ahead = Moments(self._shape, self._photo)
        self._ahead.add(copies, scores)

    @property
    def moments(self) -> Moments:
        """The moments of the rows that are not the photo."""
        return self._ahead or Moments(self._shape)

    @property
    def answered(self) -> int:
        """Number of rows answered, the photo's included."""
        return self.moments.answered + (not math.isnan(self._photo))

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without an answer."""
        ahead = self.moments
        if math.isnan(self._photo) or not ahead.answered:
            return self._photo if not ahead.answered else ahead.mean_score
        return (self._photo + ahead.mean_score * ahead.answered) / self.answered

    def weighted(self) -> NDArray[np.float64]:
        """Return the mean of score difference times perturbation over the rows that are not the photo."""
        ahead = self.moments
        return ahead.covariance() if math.isnan(self._photo) else ahead.from_first() / max(ahead.answered, 1)

    def spread(self) -> NDArray[np.float64]:
        """Return the mean of the squared perturbation that `weighted` is to be divided by for a slope."""
        ahead = self.moments
        return ahead.variance() if math.isnan(self._photo) else ahead.squares() / max(ahead.answered, 1)
