"""Consent of programs before money is spent: a cap in queries or in dollars.

A default number of queries is a convenience for models that cost nothing. Where each query is paid for, whoever calls
states one cap at least, of the run or, in dollars, of the project that it counts in. On the command line a person is
asked instead (see `bbquery.commands.consent`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.ledger.ledger import Ledger, open_ledger
from bbquery.ledger.projects import capped_in_dollars
from bbquery.money import dollars

if TYPE_CHECKING:
    from bbquery.jobs.request import Request
    from bbquery.ledger.records import Cap
    from bbquery.oracle import Oracle
    from bbquery.units import Units


@contextlib.contextmanager
def paying(
    request: Request, oracle: Oracle, worst: Callable[[], Units], stated: Sequence[Cap] | None = None
) -> Iterator[Ledger]:
    """Open the ledger that a run is paid from, once somebody has stated what it may cost.

    worst: returns the most that one query may cost, for which an image is encoded. stated: the caps as they were
    stated; None are the request's.

    Raises:
        UsageError: nothing was stated of a run that costs money, or there is no such project.
    """
    caps = [request.cap] if stated is None else stated
    with open_ledger(request.ledger) as ledger:
        if not any(cap.queries is not None or cap.picodollars is not None for cap in caps):
            _check_free(request.project, oracle, worst().picodollars, ledger)
        yield ledger


def _check_free(project: str | None, oracle: Oracle, picodollars: int, ledger: Ledger) -> None:
    """See that a query costs nothing, or that a project has a cap in dollars."""
    if not picodollars or (project is not None and capped_in_dollars(ledger, project)):
        return
    message = f"a query to {oracle.capabilities.name} may cost ${dollars(picodollars)}"
    raise UsageError(f"{message}, and nothing says how many may be asked: give max_queries or max_usd")
