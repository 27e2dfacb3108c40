"""Copies of whole ledgers, from a file to a server and back: all of it or nothing, and only while nobody sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import StorageFailed, UsageError
from bbquery.ledger.statements import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.ledger.accounts import Accounts
    from bbquery.ledger.connection import Connection

_AMOUNTS = [f"{kind}_{unit}" for kind in ("hold", "cost") for unit in UNITS]
_BALANCES = [f"{kind}_{unit}" for kind in ("cap", "posted", "held") for unit in UNITS]
TABLES: Mapping[str, Sequence[str]] = {  # each after those that it refers to, in the order of its first column
    "budget": ("id", "name", "parent", *_BALANCES, "about", "opened"),
    "oracle": ("fingerprint", "identity"),
    "budget_oracle": ("budget", "oracle", "used"),
    "attempt": ("id", "key", "budget", "owner", "oracle", "free", "state", "reason", *_AMOUNTS, "opened", "closed"),
    "answer": ("key", "oracle", "image", "sample", "answer", "served", "attempt", "created"),
    "batch": ("id", "name", "budget", "oracle", "state", "vendor", "reason", "opened", "closed"),
    "batch_line": ("attempt", "batch", "image", "sample"),
}


@dataclass(frozen=True)
class Totals:
    """Contents of a ledger as it was copied: rows of each table, and the sums of what can be added up in them."""

    rows: Mapping[str, int]
    sums: Mapping[str, Sequence[int]]


def copy(source: Accounts, target: Accounts) -> Totals:
    """Copy a ledger into one that is empty; return what was copied, once both have the same totals.

    Raises:
        UsageError: somebody has one of them open, the source is empty or has a batch under way, or the target is not
            empty. StorageFailed: one of them failed, or somebody wrote meanwhile. In each case the target stays empty.
    """
    _check_alone(source, target)
    return source.read(lambda old: target.write(lambda new: _copied(old, new, source, target)))


def _check_alone(*ledgers: Accounts) -> None:
    for ledger in ledgers:
        if others := ledger.owners():
            raise UsageError(
                f"{others} other process{'es have' if others > 1 else ' has'} the ledger {ledger.name} open: end"
                f" {'them' if others > 1 else 'it'} first, so that nothing is spent that the copy does not have"
            )


def _copied(old: Connection, new: Connection, source: Accounts, target: Accounts) -> Totals:
    wanted = totals(old)
    if not any(wanted.rows.values()):
        raise UsageError(f"the ledger {source.name} is empty: there is nothing to copy")
    if any(totals(new).rows.values()):
        raise UsageError(f"the ledger {target.name} is not empty: copy into a new one, and nothing is mixed up")
    if old.execute("SELECT 1 FROM batch WHERE state NOT IN ('collected', 'dropped')").fetchone() is not None:
        raise UsageError(
            f"a batch of the ledger {source.name} is under way: collect it first, with the command that submitted it"
        )
    for table, columns in TABLES.items():
        rows = old.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}")  # noqa: S608 - constant names
        target.fill(new, table, columns, rows)
    target.number_on(new)
    if totals(new) != wanted or source.read(totals) != wanted:
        raise StorageFailed(
            f"the totals of {source.name} and {target.name} differ after copying, as where somebody wrote meanwhile:"
            " nothing was copied; try again while nobody uses either"
        )
    _check_alone(source, target)
    return wanted


def totals(connection: Connection) -> Totals:
    """Return the totals of a ledger. Only reads."""
    adding = {
        "budget": ("id", *_BALANCES[3:]),
        "attempt": ("id", "free", *_AMOUNTS),
        "answer": ("sample", "length(answer)", "attempt"),
        "batch_line": ("attempt", "batch"),
    }
    rows, sums = {}, {}
    for table in TABLES:
        parts = "".join(f", coalesce(sum({part}), 0)" for part in adding.get(table, ()))
        rows[table], *sums[table] = connection.execute(f"SELECT count(*){parts} FROM {table}").fetchone()  # noqa: S608 - likewise
    return Totals(rows, sums)
