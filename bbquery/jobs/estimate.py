"""Estimate of what a run would cost, before anything is sent and without a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.client.pace import MARGIN

if TYPE_CHECKING:
    from bbquery.oracle import Limits, Quote
    from bbquery.units import Units


@dataclass(frozen=True)
class Estimate:
    """A run's queries and their cost. worst is what will be held at most; expected is the likely bill.

    seconds: at the known limits; None where none is known, since then only trying tells.
    """

    queries: int
    worst: Units
    expected: Units
    seconds: float | None


def estimate(quote: Quote, queries: int, limits: Limits) -> Estimate:
    """Estimate a run of so many queries, each quoted like this one."""
    expected = quote.expected.times(queries)
    return Estimate(queries, quote.worst.times(queries), expected, _seconds(queries, quote.worst.tokens, limits))


def _seconds(queries: int, tokens: int, limits: Limits) -> float | None:
    """Return the time that the tighter of the two rates allows; token limits count a query's worst case."""
    needs = [
        60 * amount / (rate * (1 - MARGIN))
        for amount, rate in ((queries, limits.requests_per_minute), (queries * tokens, limits.tokens_per_minute))
        if rate is not None
    ]
    return max(needs, default=None)
