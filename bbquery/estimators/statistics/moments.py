"""Running covariance of a score and a perturbation, value by value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES_AT_ONCE = 1 << 22  # 32 MiB of float64: the most that summing ever holds of a perturbation
ROWS_AT_ONCE = 8  # beyond this the sums are small beside drawing the rows


def ratio(values: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values / spread, and 0 where the spread is 0: what never moved tells nothing."""
    found: NDArray[np.float64] = np.divide(values, spread, out=np.zeros(np.shape(values)), where=spread > 0)
    return found


class Perturbed(Protocol):
    """Rows that know what was changed in them."""

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return what was sent as `row` minus the original; it is the row's until the same thread asks for another."""


class Moments:
    """Means and sample covariances of a score and a perturbation of `shape`, over the rows that were answered.

    Scores are summed as differences to the first: so a score that never moves has a covariance of exactly 0.
    first: a score to take differences to in place of the first one added.
    """

    def __init__(self, shape: tuple[int, ...], first: float = math.nan) -> None:
        self._shape = shape
        size = math.prod(shape)
        self._rows_at_once = min(ROWS_AT_ONCE, max(1, VALUES_AT_ONCE // size))
        self._sum_z, self._sum_fz, self._sum_zz = np.zeros(size), np.zeros(size), np.zeros(size)
        self._sum_f, self._first_f = 0.0, first
        self.answered = 0

    def add(self, copies: Perturbed, scores: NDArray[np.float64]) -> None:
        """Add rows 0 to len(scores), drawing their perturbation again; rows without an answer (NaN) are left out."""
        answered = np.flatnonzero(~np.isnan(scores))
        block = np.empty((self._rows_at_once, self._sum_z.size))
        for start in range(0, len(answered), self._rows_at_once):
            rows = answered[start : start + self._rows_at_once]
            for place, row in enumerate(rows):
                block[place] = copies.realised(int(row)).ravel()
            self._add(block[: len(rows)], scores[rows])

    def _add(self, z: NDArray[np.float64], f: NDArray[np.float64]) -> None:
        if math.isnan(self._first_f):
            self._first_f = float(f[0])
        f = f - self._first_f
        self._sum_z += z.sum(axis=0)
        # einsum, not a matrix product: its order of summation, hence every bit, is the same on any number of threads
        self._sum_fz += np.einsum("i,ij->j", f, z)
        self._sum_zz += np.einsum("ij,ij->j", z, z)
        self._sum_f += float(f.sum())
        self.answered += len(f)

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without an answer."""
        return self._first_f + self._sum_f / self.answered if self.answered else math.nan

    def covariance(self) -> NDArray[np.float64]:
        """Return the sample covariance of score and perturbation (divisor n - 1), of the given shape.

        It equals the mean of (fᵢ - f̄₋ᵢ) zᵢ, with scores centred by the mean of the *other* rows. 0 below two answers.
        """
        return self._centred(self._sum_fz, self._sum_f)

    def product(self) -> NDArray[np.float64]:
        """Return the mean of score times perturbation, neither centred, of the given shape; 0 without an answer."""
        if not self.answered:
            return np.zeros(self._shape)
        total = self._sum_fz + self._first_f * self._sum_z
        return (total / self.answered).reshape(self._shape)

    def from_first(self) -> NDArray[np.float64]:
        """Return the sum of score, as a difference to the first, times perturbation, of the given shape."""
        return self._sum_fz.reshape(self._shape).copy()

    def squares(self) -> NDArray[np.float64]:
        """Return the sum of the squared perturbation, not centred, of the given shape."""
        return self._sum_zz.reshape(self._shape).copy()

    def variance(self) -> NDArray[np.float64]:
        """Return the sample variance of the perturbation (divisor n - 1), of the given shape; 0 below two answers."""
        return self._centred(self._sum_zz, self._sum_z)

    def _centred(self, products: NDArray[np.float64], sums: NDArray[np.float64] | float) -> NDArray[np.float64]:
        if self.answered < 2:
            return np.zeros(self._shape)
        centred: NDArray[np.float64] = (products - self._sum_z * sums / self.answered) / (self.answered - 1)
        return centred.reshape(self._shape)
