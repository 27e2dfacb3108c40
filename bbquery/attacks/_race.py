"""Share queries among ways to move, by what each has lately won per query.

A gain is the logarithm of how much nearer a move came; 0 where it did not. What a way is worth changes as an attack
comes nearer, so gains and queries are forgotten exponentially; one that was not tried lately counts as the average,
which in the end it is tried for. At first it counts as what such a way is known to win, relative to the average; that
is forgotten too, more slowly. Nothing depends on how many queries are allowed: a longer run begins as a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = 0.996  # of what is remembered, per query: a memory of about 250 queries
WORTH_KEPT = 0.999  # of what sets a way's worth apart, per query: about 1,000 queries
TRUST = 60.0  # queries for which the average speaks beside a way's own record
EVENLY = 0.2  # share of choices that is made without regard to gains
LEAST = 0.1  # of the average rate, at which a way is taken to be at least
FIRST_RATE, FIRST_QUERIES = 0.003, 100.0  # log distance per query, before anything is known


@dataclass
class Tally:
    """Gains and queries, as remembered."""

    gain: float = 0.0
    queries: float = 0.0

    def fade(self, queries: int) -> None:
        """Forget as much as so many queries make."""
        self.gain *= KEPT**queries
        self.queries *= KEPT**queries

    def add(self, gain: float, queries: int) -> None:
        """Remember one move."""
        self.gain += gain
        self.queries += queries


class Race:
    """Chooses among ways to move.

    costs: about how many queries each takes at a time. worths: what each is expected to win per query at first,
    relative to the average way.
    """

    def __init__(self, costs: Sequence[float], worths: Sequence[float]) -> None:
        self._costs, self._worths = np.array(costs), np.array(worths)
        self._tallies = [Tally() for _ in costs]
        self._all = Tally(FIRST_RATE * FIRST_QUERIES, FIRST_QUERIES)

    def choose(self, rng: np.random.Generator) -> int:
        """Draw a way: queries, not turns, are shared in proportion to the rates."""
        average = self._all.gain / self._all.queries
        gains = np.array([tally.gain for tally in self._tallies]) + TRUST * average * self._worths
        rates = gains / (np.array([tally.queries for tally in self._tallies]) + TRUST)
        rates = np.maximum(rates, LEAST * average)
        total = float(rates.sum())
        even = 1 / len(rates)
        shares = (1 - EVENLY) * rates / total + EVENLY * even if total > 0 else np.full(len(rates), even)
        turns = shares / self._costs
        return int(rng.choice(len(rates), p=turns / turns.sum()))

    def learn(self, way: int, gain: float, queries: int) -> None:
        """Remember what a move won, and what it cost."""
        self._worths = 1 + (self._worths - 1) * WORTH_KEPT**queries
        for tally in (self._all, *self._tallies):
            tally.fade(queries)
        for tally in (self._all, self._tallies[way]):
            tally.add(gain, queries)
