"""Main effects of cells on the score, from a Gaussian process over visible cells, on the scale of the score.

The effect of a cell is the mean score with it visible minus that with it hidden, the other cells being visible or not
at random with equal chances: the Banzhaf value of the game that the score is. The mean is taken over random rows; the
standard error linearises the link about the prediction, so it knows of what interactions may hide; that random rows
are not all rows counts as error, too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bbquery.saliency._mask_process import Floats, Link, Process


@dataclass(frozen=True, eq=False)
class Effects:
    """Main effects on the score and their standard errors, both (cells,)."""

    mean: Floats
    error: Floats


class _Side(NamedTuple):
    """All rows with a cell set to `sign`: how that changes them, covariances with the data, scores, and weights."""

    sign: float
    change: Floats
    covariance: Floats
    scores: Floats
    weights: Floats


class _Effect(NamedTuple):
    """A cell's mean effect, its covariance with the data and prior variance over v, and the noise of random rows."""

    mean: float
    with_data: Floats
    prior: float
    noise: float


class ToggledCells:
    """Random rows (m, cells) of +1 and -1, in which each cell is set to visible and to hidden in turn."""

    def __init__(self, process: Process, link: Link, rows: Floats) -> None:
        self._process, self._link, self._rows = process, link, rows
        self._geometry = process.geometry
        self._smooth = rows @ self._geometry.kernel
        self._to_data = rows @ self._geometry.seen.T
        self._among = self._smooth @ rows.T
        known = process.known(process.covariance.at(self._to_data).T)
        unknown = np.maximum(process.covariance.at(np.diag(self._among)) - known, 0)
        self._narrow = 1 / np.sqrt(1 + link.narrowing * process.variance * unknown)

    def effects(self) -> Effects:
        """Return the effects of all cells."""
        cells = [self._effect(cell) for cell in range(self._rows.shape[1])]
        with_data = np.stack([cell.with_data for cell in cells], axis=1)
        unknown = np.maximum(np.array([cell.prior for cell in cells]) - self._process.known(with_data), 0)
        noise = np.array([cell.noise for cell in cells])
        return Effects(np.array([cell.mean for cell in cells]), np.sqrt(self._process.variance * unknown + noise))

    def _effect(self, cell: int) -> _Effect:
        shown, hidden = sides = (self._side(cell, 1.0), self._side(cell, -1.0))
        differences = shown.scores - hidden.scores
        with_data = shown.weights @ shown.covariance + hidden.weights @ hidden.covariance
        prior = sum(a.weights @ self._between(cell, a, b) @ b.weights for a, b in itertools.product(sides, sides))
        return _Effect(float(differences.mean()), with_data, float(prior), float(differences.var()) / len(differences))

    def _side(self, cell: int, sign: float) -> _Side:
        process, change = self._process, sign - self._rows[:, cell]
        covariance = process.covariance.at(self._to_data + change[:, None] * self._geometry.seen[:, cell])
        scores = self._link.back((process.mean + covariance @ process.weights) * self._narrow)
        weights = sign * self._link.slope(scores) * self._narrow / len(scores)
        return _Side(sign, change, covariance, scores, weights)

    def _between(self, cell: int, a: _Side, b: _Side) -> Floats:
        """Return the covariances over v of the rows of two sides."""
        of_cell, own = self._smooth[:, cell], self._geometry.kernel[cell, cell]
        t = self._among + a.change[:, None] * of_cell + of_cell[:, None] * b.change
        return self._process.covariance.at(t + own * a.change[:, None] * b.change)
