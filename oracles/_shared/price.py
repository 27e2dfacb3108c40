"""A price that the user states on the command line, as dollars a query."""

from __future__ import annotations

from bbquery.money import picodollars
from bbquery.oracle import ONE_QUERY, Price
from bbquery.units import Units

STATED = Price(source="the option usd_per_query")


def cost_of_query(usd_per_query: str | float | None) -> Units:
    """Return what one query costs; no money where no price is stated.

    Raises:
        UsageError: it is not an amount of dollars.
    """
    if usd_per_query is None:
        return ONE_QUERY
    return Units(queries=1, picodollars=picodollars(usd_per_query))
