"""Size of the answer store on disk, the cost of buying parts of it again, and removal of such parts.

An answer's cost is that of the attempt that brought it, exactly; an imported one was paid for elsewhere, so its cost is
not known here. Attempts stay when their answers go: what was spent is never forgotten. The same question is paid again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import StorageFailed
from bbquery.ledger import reports, store_files
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BUSY_SECONDS = 10  # that another process may be amid a commit


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
    connection: sqlite3.Connection, names: Sequence[str] = (), top: int | None = None, before: str | None = None
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
        " sum(paid.attempt IS NULL)"
        " FROM chosen JOIN (SELECT key, attempt FROM answer) AS paid USING (key)"
        " LEFT JOIN attempt ON attempt.id = paid.attempt GROUP BY chosen.oracle ORDER BY 3 DESC, 1",
        values,
    )
    return [
        Share(known[oracle].name if oracle in known else oracle, answers, size, oldest, newest, Units(*cost), imported)
        for oracle, answers, size, oldest, newest, *cost, imported in rows
    ]


def prune(connection: sqlite3.Connection, names: Sequence[str], top: int | None, before: str | None) -> int:
    """Take the answers that are chosen out of the store, in the caller's transaction; return how many.

    Raises:
        UnknownName: no oracle is called so.
    """
    chosen, values = store_files.selection(connection, names, top, before)
    changes = connection.total_changes
    connection.execute(f"{chosen} DELETE FROM answer WHERE key IN (SELECT key FROM chosen)", values)  # noqa: S608 - no part of it is input
    return connection.total_changes - changes


def size(path: Path) -> int:
    """Return how many bytes the ledger's file takes, with what SQLite keeps beside it."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def vacuum(path: Path) -> None:
    """Return the space of pruned answers to the disk. Needs as much free space as the file takes meanwhile.

    Raises:
        StorageFailed: another process uses the file, or the disk is full.
    """
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        message = (
            f"{path} could not be made smaller ({error}): nothing is lost; end other runs, see that the disk has room"
        )
        raise StorageFailed(f"{message} for a copy, and try again") from error
