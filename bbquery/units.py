"""Amounts of what a budget counts: queries, tokens and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Units:
    """An amount of each thing a budget counts, in integers. 10**12 picodollars are a dollar."""

    queries: int = 0
    tokens: int = 0
    picodollars: int = 0

    @property
    def amounts(self) -> tuple[int, int, int]:
        """Its numbers, in the order of the fields."""
        return self.queries, self.tokens, self.picodollars

    def within(self, other: Units) -> bool:
        """Whether it is at most `other` in every unit."""
        return self.queries <= other.queries and self.tokens <= other.tokens and self.picodollars <= other.picodollars

    def times(self, n: int) -> Units:
        """Return n times as much."""
        return Units(self.queries * n, self.tokens * n, self.picodollars * n)

    def plus(self, other: Units) -> Units:
        """Return the sum."""
        return total((self, other))


NOTHING = Units()


def total(amounts: Iterable[Units]) -> Units:
    """Return the sum; of none, nothing."""
    queries = tokens = picodollars = 0
    for amount in amounts:
        queries += amount.queries
        tokens += amount.tokens
        picodollars += amount.picodollars
    return Units(queries, tokens, picodollars)


LARGEST_COST = 2**50  # of a query, in any unit: 1,100 dollars; 8,000 such sums fit into the ledger's integers


def believable(cost: Units | None) -> Units | None:
    """Return a cost, or None where it is no amount that one query can have cost; the hold then counts in its place."""
    if cost is None or not isinstance(cost, Units):
        return None
    whole = all(isinstance(amount, int) and 0 <= amount <= LARGEST_COST for amount in cost.amounts)
    return cost if whole else None
