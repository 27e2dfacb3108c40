"""Size of the answers in the store, the cost of buying parts of it again, and removal of such parts.

An answer's cost is that of the attempt that brought it, exactly; an imported one was paid for elsewhere, so its cost is
not known here. Attempts stay when their answers go: what was spent is never forgotten. The same question is paid again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.ledger import reports, store_files
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection


@dataclass(frozen=True)
class Share:
    """Answers of one oracle. bytes: of the answers themselves. cost: of those paid for here; imported: of the others.

    oldest, newest: when they were stored, in UTC.
    """

    oracle: str
    answers: int
    bytes: int
    oldest: str
    newest: str
    cost: Units
    imported: int


def shares(
    connection: Connection, names: Sequence[str] = (), top: int | None = None, before: str | None = None
) -> list[Share]:
    """Return the answers that are chosen, by oracle, the largest share first.

    names: of these oracles, by name, model or the start of a fingerprint. top: paid for in this budget or within.
    before: stored before this time, in UTC. What is not said chooses all.

    Raises:
        UnknownName: no oracle is called so.
    """
    chosen, values = store_files.selection(connection, names, top, before)
    known = reports.oracles(connection)
    rows = connection.execute(
        f"{chosen} SELECT chosen.oracle, count(*), sum(length(chosen.answer)), min(created), max(created),"  # noqa: S608 - no part of it is input
        " coalesce(sum(cost_queries), 0), coalesce(sum(cost_tokens), 0), coalesce(sum(cost_picodollars), 0),"
        " count(*) FILTER (WHERE paid.attempt IS NULL)"
        " FROM chosen JOIN (SELECT key, attempt FROM answer) AS paid USING (key)"
        " LEFT JOIN attempt ON attempt.id = paid.attempt GROUP BY chosen.oracle ORDER BY 3 DESC, 1",
        values,
    )
    return [
        Share(known[oracle].name if oracle in known else oracle, answers, size, oldest, newest, Units(*cost), imported)
        for oracle, answers, size, oldest, newest, *cost, imported in rows
    ]


def prune(connection: Connection, names: Sequence[str], top: int | None, before: str | None) -> int:
    """Take the answers that are chosen out of the store, in the caller's transaction; return how many.

    Raises:
        UnknownName: no oracle is called so.
    """
    chosen, values = store_files.selection(connection, names, top, before)
    deleted = connection.execute(
        f"{chosen} DELETE FROM answer WHERE key IN (SELECT key FROM chosen) RETURNING 1",  # noqa: S608 - no part of it is input
        values,
    )
    return sum(1 for _ in deleted)  # SQLite's driver does not count what follows WITH
