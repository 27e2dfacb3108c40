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

    patterns: (m, cells) of +1 (visible) and -1 (hidden); effects are taken at each and at its complement. surroundings:
    (cells, cells), for each place how much of each cell is revealed with it; 1 for its own.
    """

    patterns: Floats
    surroundings: Floats


class _Side(NamedTuple):
    """Of η at all patterns, or at all their complements. covariance, slope: (m, n), of η with the data, and k'.

    of_score: (m,), the slope of the mean score by η; bend: (m,), that of `of_score`. along: (m, cells), of η along each
    place.
    """

    covariance: Floats
    slope: Floats
    of_score: Floats
    bend: Floats
    along: Floats

    @property
    def gains(self) -> Floats:
        """Of the mean score along each place, (m, cells)."""
        gains: Floats = self.of_score[:, None] * self.along
        return gains


def gains(process: Process, link: Link, places: Places) -> Effects:
    """Return the effects of all places."""
    shown, hidden = sides = _sides(process, link, places)
    pairs = (shown.gains + hidden.gains) / 2
    variance = FOUND_OF_EXPECTED**2 * process.variance * _unknown(process, sides, places)
    return Effects(pairs.mean(axis=0), np.sqrt(variance + pairs.var(axis=0) / len(pairs)))


def mean_gains(process: Process, link: Link, places: Places) -> Floats:
    """Return the effects of all places, without their errors, which take half of the time: (cells,)."""
    shown, hidden = _sides(process, link, places)
    mean: Floats = ((shown.gains + hidden.gains) / 2).mean(axis=0)
    return mean


def _changes(places: Places) -> Floats:
    return 2 * places.surroundings  # from hidden, -1, to visible, +1


def _sides(process: Process, link: Link, places: Places) -> tuple[_Side, _Side]:
    geometry, function = process.geometry, process.covariance
    to_data = places.patterns @ geometry.seen.T
    own = np.einsum("ij,ij->i", places.patterns @ geometry.kernel, places.patterns)
    changing = process.weights[:, None] * (geometry.seen @ _changes(places))

    def side(t: Floats, exponential: Floats) -> _Side:
        covariance, slope = function.at(t, exponential), function.slope(exponential)
        narrow = _narrow(process, link, covariance, own)
        scores = link.back((process.mean + covariance @ process.weights) * narrow)
        return _Side(covariance, slope, link.slope(scores) * narrow, link.bend(scores) * narrow**2, slope @ changing)

    exponential = function.exponential(to_data)
    return side(to_data, exponential), side(-to_data, 1 / exponential)


def _narrow(process: Process, link: Link, covariance: Floats, own: Floats) -> Floats:
    """Return by how much what is unknown of η at each pattern draws the mean score towards the middle."""
    if not link.narrowing:
        return np.ones(len(own))
    unknown = np.maximum(process.covariance.at(own) - process.known(covariance.T), 0)
    narrow: Floats = 1 / np.sqrt(1 + link.narrowing * process.variance * unknown)
    return narrow


def _unknown(process: Process, sides: tuple[_Side, _Side], places: Places) -> Floats:
    """Return the variance over v, (cells,), of the mean over patterns of `of_score` times the slope of η.

    To first order that mean changes by the change of η's slope times `of_score`, and by that of η times `rest`.
    """
    geometry = process.geometry
    count = 2 * len(places.patterns)
    weights = [side.of_score / count for side in sides]
    rests = [side.bend[:, None] * side.along / count for side in sides]
    with_data = np.zeros_like(geometry.seen)
    for side, weight, rest in zip(sides, weights, rests, strict=True):
        with_data += (weight @ side.slope)[:, None] * (geometry.seen @ _changes(places)) + side.covariance.T @ rest
    prior = _prior(process, places, weights, rests)
    unknown: Floats = np.maximum(prior - process.known(with_data), 0)
    return unknown


def _prior(process: Process, places: Places, weights: list[Floats], rests: list[Floats]) -> Floats:
    """Return that variance before there are data.

    A sum of k(xᵀ K x') over all patterns and complements, x and x', is one of the even part of k over the patterns, of
    the sums of what belongs to a pattern and its complement, and one of the odd part, of their differences.
    """
    kernel, changes = process.geometry.kernel, _changes(places)
    smooth = places.patterns @ kernel
    towards, (even, odd) = smooth @ changes, process.covariance.parts(smooth @ places.patterns.T)
    both, apart = weights[0] + weights[1], weights[0] - weights[1]
    rest_of_both, rest_apart = rests[0] + rests[1], rests[0] - rests[1]
    with_both, with_apart = even.slope @ both, odd.slope @ apart
    mixed = with_both[:, None] * rest_apart + with_apart[:, None] * rest_of_both
    prior: Floats = (
        _quadratic(even.bend, apart[:, None] * towards)
        + _quadratic(odd.bend, both[:, None] * towards)
        + (with_both @ both + with_apart @ apart) * np.einsum("ij,ij->j", kernel @ changes, changes)
        + 2 * np.einsum("ij,ij->j", towards, mixed)
        + _quadratic(even.value, rest_of_both)
        + _quadratic(odd.value, rest_apart)
    )
    return prior


def _quadratic(matrix: Floats, columns: Floats) -> Floats:
    quadratic: Floats = np.einsum("ij,ij->j", columns, matrix @ columns)
    return quadratic
