"""Effects of places on the score, from a process over which cells are visible, for cells too small to matter singly.

The effect of a place is the mean score of patterns that show it minus that of patterns that hide it. The patterns are
smooth, so it is the effect of the place with its surroundings. Means are taken over random patterns and their
complements, and predicted by the process; the standard error linearises the link about the prediction.

Of few patterns the means are noisy, mostly because other places are by chance shown a little more often where this one
is. How often they really are is known from very many patterns, which cost no prediction, so that part is put right
(a regression estimator: Cochran, "Sampling Techniques", 7.1); what noise is left counts as error.

The process takes small cells for more independent than a photo's are, and so expects errors nearly twice as large as
they turn out. They are told as they turn out: by a factor that was measured on photos (docs/designed.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.saliency._toggled_cells import Effects

if TYPE_CHECKING:
    from bbquery.saliency._mask_process import Floats, Link, Process

FOUND_OF_EXPECTED = 0.6  # of errors; still on the careful side


class Patterns:
    """Random patterns (m, cells) of +1 and -1, each followed by its complement; the first few of very many.

    rows: the few that are predicted. weights: (few, cells), what the score of each counts in the effect of a cell.
    """

    def __init__(self, many: Floats, few: int) -> None:
        self.rows: Floats = many[:few]
        self._plain = _contrasts(self.rows)
        self._linear = np.linalg.pinv(self.rows)
        chance = _contrasts(many).T @ many - self._plain.T @ self.rows
        self.weights: Floats = self._plain + (chance @ self._linear).T

    def noise(self, scores: Floats) -> Floats:
        """Return the variance, (cells,), that is left of the means' own noise."""
        rest = scores - scores.mean() - self.rows @ (self._linear @ scores)
        variance: Floats = np.einsum("ij,i->j", self._plain**2, rest**2)
        return variance


def _contrasts(rows: Floats) -> Floats:
    """Return what each pattern counts in a cell's difference of means, (m, cells)."""
    shown, hidden = rows > 0, rows < 0
    contrasts: Floats = shown / shown.sum(axis=0) - hidden / hidden.sum(axis=0)
    return contrasts


def shown_minus_hidden(process: Process, link: Link, patterns: Patterns) -> Effects:
    """Return the effects of all cells."""
    predicted = _predicted(process, link, patterns)
    among = process.covariance(patterns.rows @ process.geometry.kernel @ patterns.rows.T)
    weights = patterns.weights * (link.slope(predicted.scores) * predicted.narrow)[:, None]
    prior = np.einsum("ij,ij->j", weights, among @ weights)
    explained = np.einsum("ij,ij->j", predicted.covariance.T @ weights, predicted.known @ weights)
    variance = FOUND_OF_EXPECTED**2 * process.variance * np.maximum(prior - explained, 0)
    error = np.sqrt(variance + patterns.noise(predicted.scores))
    return Effects(_means(patterns, predicted), error)


def expected_effects(process: Process, link: Link, patterns: Patterns) -> Floats:
    """Return the effects of all cells, (cells,), without their errors, which take nine tenths of the time."""
    return _means(patterns, _predicted(process, link, patterns))


class _Predicted(NamedTuple):
    """Of all patterns: covariances (few, n) with the data, those over the data's own (n, few), and scores (few,).

    narrow: (few,), by how much what is not known draws the latent score towards the middle.
    """

    covariance: Floats
    known: Floats
    narrow: Floats
    scores: Floats


def _predicted(process: Process, link: Link, patterns: Patterns) -> _Predicted:
    geometry = process.geometry
    covariance = process.covariance(patterns.rows @ geometry.seen.T)
    known = np.asarray(np.linalg.solve(process.matrix, covariance.T), dtype=np.float64)
    prior = process.covariance(np.einsum("ij,ij->i", patterns.rows @ geometry.kernel, patterns.rows))
    unknown = np.maximum(prior - np.einsum("ij,ji->i", covariance, known), 0)
    narrow = 1 / np.sqrt(1 + link.narrowing * process.variance * unknown)
    scores = link.back((process.mean + covariance @ process.weights) * narrow)
    return _Predicted(covariance, known, narrow, scores)


def _means(patterns: Patterns, predicted: _Predicted) -> Floats:
    means: Floats = np.einsum("ij,i->j", patterns.weights, predicted.scores)
    return means
