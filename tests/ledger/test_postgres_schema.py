"""The tables on a server: the same as in a file, of a version, and found where the address says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bbquery.errors import StorageFailed
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
ONLY_THERE = {"owner", "last_commit", "version"}
"""Leases, what each process committed last, and the number of the newest migration, which a file keeps elsewhere."""


def test_a_server_has_the_columns_that_a_file_has(postgresql: Server, tmp_path: Path) -> None:
    """A migration of one without the other would be found here, and not by a user who copies a ledger."""
    url, path = postgresql.url(), tmp_path / "ledger.sqlite3"
    for place in (url, path):
        Ledger(place).close()
    with closing(sqlite3.connect(path)) as file, postgresql.connection(url) as server:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        here = {table: {row[1] for row in file.execute(f"PRAGMA table_info({table})")} for table in tables}
        there: dict[str, set[str]] = {}
        for table, column in server.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        ):
            there.setdefault(str(table), set()).add(str(column))

    assert {table: columns for table, columns in there.items() if table not in ONLY_THERE} == here


def test_a_ledger_of_a_later_version_is_left_alone(postgresql: Server) -> None:
    """A ledger that a newer bbquery made is refused, by name."""
    url = postgresql.url()
    Ledger(url).close()
    with postgresql.connection(url) as server:
        server.execute("UPDATE version SET number = 999")

    with pytest.raises(StorageFailed, match=r"^the ledger postgresql://.* is of version 999, newer than this bbquery"):
        Ledger(url)


def test_a_database_holds_several_ledgers(postgresql: Server) -> None:
    """Each schema is a ledger of its own."""
    first, second = postgresql.url(), postgresql.url()
    with Ledger(first) as one, Ledger(second) as other:
        one.open_budget("b", Cap(queries=5))

        assert one.find_budget("b") == other.open_budget("b", Cap(queries=7)) == 1
        assert (one.budget(1).cap.queries, other.budget(1).cap.queries) == (5, 7)


def test_a_text_that_the_server_cannot_hold_is_written_out(postgresql: Server) -> None:
    """An error message with a NUL in it, as broken servers send, ends no settlement."""
    with Ledger(postgresql.url()) as ledger:
        budget = ledger.open_budget("b", Cap(), about="a\0b")

        about = ledger.read(lambda c: c.execute("SELECT about FROM budget WHERE id = ?", (budget,)).fetchone())

    assert about == (r"a\x00b",)
