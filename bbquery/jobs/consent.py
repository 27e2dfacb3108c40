"""What a program must say before it spends money: how much, in queries or in dollars.

A default number of queries is a convenience for models that cost nothing. Where each query is paid for, whoever calls
states one cap at least, of the run or, in dollars, of the project that it counts in. On the command line a person is
asked instead (see `bbquery.commands.consent`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.ledger.projects import capped_in_dollars
from bbquery.money import dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.sqlite import Ledger
    from bbquery.units import Units


def check(
    oracle: str, worst: Callable[[], Units], caps: tuple[object, ...], ledger: Ledger, project: str | None
) -> None:
    """See that a run which costs money has a cap that somebody stated.

    oracle: its name. worst: returns the most that one query may cost. caps: what was said of queries and dollars,
    None for nothing.

    Raises:
        UsageError: nothing was said, or there is no such project.
    """
    if any(cap is not None for cap in caps):
        return
    each = worst().picodollars
    if not each:
        return
    if project is not None and capped_in_dollars(ledger, project):
        return
    told = f"a query to {oracle} may cost ${dollars(each)}, and nothing says how many may be asked"
    raise UsageError(f"{told}: give max_queries or max_usd")
