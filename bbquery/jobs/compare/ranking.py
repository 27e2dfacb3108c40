"""Order of measured maps on one photo, by SRG, with intervals, and which of them cannot be told apart.

One photo gives one SRG a method, so its interval is not one over photos. It is over stretches of the curves: the shares
of pixels are cut into eight stretches, insertion minus deletion is averaged in each, and the mean of the eight is the
SRG. Student's interval of that mean says how far it depends on how much is hidden or shown, and on the noise of
answers: batch means (Law, "Simulation Modeling and Analysis"), for neighbours on a curve are alike. Two methods
are compared stretch by stretch, which takes out what both have in common. They are told apart where chance explains
their difference, by Student's t, at most 5 times in 100, raised for the number of pairs (Holm 1979): of eight methods
that differ by noise alone, some two would otherwise mostly be told apart. Nothing is asked for it. Of other photos, and
of the same method with another seed, it knows nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.chance import OUTSIDE, holm, of_mean
from bbquery.jobs.intervals import Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bbquery.metrics.srg import Curves

STRETCHES = 8


@dataclass(frozen=True)
class Pair:
    """Two methods, by their places. difference: SRG of the one less that of the other, with its own 95 % interval.

    chance: the probability of that difference by chance, raised for the number of pairs.
    """

    one: int
    other: int
    difference: Estimate
    chance: float

    @property
    def told_apart(self) -> bool:
        """Whether chance does not explain the difference."""
        return self.chance <= OUTSIDE


@dataclass(frozen=True)
class Ranking:
    """Methods that were measured, by their places among those that were given.

    order: best SRG first. srg: of each of these. ranks: of each, 1 and how many methods are clearly better. pairs: each
    two of them, the better one first.
    """

    order: tuple[int, ...]
    srg: tuple[Estimate, ...]
    ranks: tuple[int, ...]
    pairs: tuple[Pair, ...]

    @property
    def ties(self) -> tuple[Pair, ...]:
        """Each two that cannot be told apart."""
        return tuple(pair for pair in self.pairs if not pair.told_apart)


def ranking(curves: Sequence[Curves | None]) -> Ranking:
    """Return the ranking of methods by their curves; those without curves, or without an answer, are left out."""
    measured = {place: stretches(each) for place, each in enumerate(curves) if each is not None}
    known = {place: values for place, values in measured.items() if not np.isnan(values).any()}
    order = sorted(known, key=lambda place: -float(known[place].mean()))
    pairs = _pairs(known, order)
    ranks = [1 + sum(pair.other == place and pair.told_apart for pair in pairs) for place in order]
    return Ranking(tuple(order), tuple(mean(known[place]) for place in order), tuple(ranks), tuple(pairs))


def _pairs(known: Mapping[int, NDArray[np.float64]], order: Sequence[int]) -> list[Pair]:
    """Return each two methods. known: the stretches of each, by its place. order: best first."""
    places = list(itertools.combinations(order, 2))
    differences = [known[one] - known[other] for one, other in places]
    chances = holm([of_mean(each) for each in differences])
    return [
        Pair(one, other, mean(difference), chance)
        for (one, other), difference, chance in zip(places, differences, chances, strict=True)
    ]


def stretches(curves: Curves) -> NDArray[np.float64]:
    """Return insertion minus deletion, averaged over each of eight stretches of the shares of pixels, (8,) at most."""
    above = curves.insertion - curves.deletion
    return np.array([each.mean() for each in np.array_split((above[1:] + above[:-1]) / 2, STRETCHES) if each.size])
