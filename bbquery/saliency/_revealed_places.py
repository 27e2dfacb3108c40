"""Effects of places on the score, from a Gaussian process over visible cells; for cells too small to matter singly.

The effect of a place is what the score gains as the place with its surroundings is revealed: the slope of the score
along that change, averaged over patterns that show anything from nearly nothing to nearly all of the photo, as Aumann
and Shapley average over how much of everything else is there ("Values of Non-Atomic Games", 1974). The surroundings are
a Gaussian about the place. So what the score does not look at has an effect of 0, and where cells' effects add up, the
effect of a place is their sum, weighted by that Gaussian.

A process can be differentiated: with rows s and s' at t = sᵀ K s' (`_mask_process`), and r the change of all cells'
visibility about a place, the covariances over v of η's slope along r are

    with η      k'(t) rᵀ K s'
    with itself k''(t) (rᵀ K s') (rᵀ K s) + k'(t) rᵀ K r

(Rasmussen and Williams, "Gaussian Processes for Machine Learning", 9.4). The standard error linearises the link about
the prediction. The process takes small cells for more independent than a photo's are, and so expects larger errors than
turn out. They are scaled to what turned out, by a factor that was measured on photos (docs/designed.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.saliency._toggled_cells import Effects

if TYPE_CHECKING:
    from bbquery.saliency._mask_process import Floats, Link, Process

FOUND_OF_EXPECTED = 0.6  # of errors; still on the careful side


@dataclass(frozen=True, eq=False)
class Places:
    """Places and patterns at which effects are taken.

    patterns: (m, cells) of +1 (visible) and -1 (hidden), each followed by its complement. surroundings: (cells,
    cells), for each place how much of each cell is revealed with it; 1 for its own.
    """

    patterns: Floats
    surroundings: Floats


class _Slopes(NamedTuple):
    """Of η at all patterns. towards: (m, cells), rᵀ K s of places and patterns. to_data: (m, n), t.

    of_score: (m,), the slope of the mean score by η; bend: (m,), that of `of_score`. along: (m, cells), of η along each
    place.
    """

    towards: Floats
    to_data: Floats
    of_score: Floats
    bend: Floats
    along: Floats


def gains(process: Process, link: Link, places: Places) -> Effects:
    """Return the effects of all places."""
    changes = 2 * places.surroundings  # from hidden, -1, to visible, +1
    slopes = _slopes(process, link, places.patterns, changes)
    each = slopes.of_score[:, None] * slopes.along
    pairs = each.reshape(-1, 2, each.shape[1]).mean(axis=1)
    variance = FOUND_OF_EXPECTED**2 * process.variance * _unknown(process, slopes, places.patterns, changes)
    return Effects(each.mean(axis=0), np.sqrt(variance + pairs.var(axis=0) / len(pairs)))


def _slopes(process: Process, link: Link, patterns: Floats, changes: Floats) -> _Slopes:
    geometry = process.geometry
    to_data, towards = patterns @ geometry.seen.T, patterns @ geometry.kernel @ changes
    covariance = process.covariance(to_data)
    known = np.einsum("ij,ji->i", covariance, np.linalg.solve(process.matrix, covariance.T))
    prior = process.covariance(np.einsum("ij,ij->i", patterns @ geometry.kernel, patterns))
    narrow = 1 / np.sqrt(1 + link.narrowing * process.variance * np.maximum(prior - known, 0))
    scores = link.back((process.mean + covariance @ process.weights) * narrow)
    along = (process.slope(to_data) * process.weights) @ (geometry.seen @ changes)
    return _Slopes(towards, to_data, link.slope(scores) * narrow, link.bend(scores) * narrow**2, along)


def _unknown(process: Process, slopes: _Slopes, patterns: Floats, changes: Floats) -> Floats:
    """Return the variance over v, (cells,), of the mean over patterns of `of_score` times the slope of η.

    To first order that mean changes by the change of η's slope times `of_score`, and by that of η times `rest`.
    """
    geometry = process.geometry
    among, to_data = patterns @ geometry.kernel @ patterns.T, slopes.to_data
    weights = slopes.of_score / len(patterns)
    rest = slopes.bend[:, None] * slopes.along / len(patterns)
    weighted, with_others = weights[:, None] * slopes.towards, weights @ process.slope(among)
    prior = (
        np.einsum("ij,ij->j", weighted, process.bend(among) @ weighted)
        + (with_others @ weights) * np.einsum("ij,ij->j", geometry.kernel @ changes, changes)
        + 2 * np.einsum("i,ij->j", with_others, slopes.towards * rest)
        + np.einsum("ij,ij->j", rest, process.covariance(among) @ rest)
    )
    with_data = (process.slope(to_data).T @ weights)[:, None] * (geometry.seen @ changes)
    with_data += process.covariance(to_data).T @ rest
    known = np.einsum("ij,ij->j", with_data, np.linalg.solve(process.matrix, with_data))
    unknown: Floats = np.maximum(prior - known, 0)
    return unknown
