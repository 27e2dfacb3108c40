"""Rows in one step of the engine: all of them, once, in order, by few different statements."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.ledger.rows import LARGEST, execute_rows, parts


@given(rows=st.lists(st.tuples(st.binary(max_size=4), st.none() | st.integers(-9, 9)), max_size=700))
def test_every_row_arrives_once_and_in_order(rows: list[tuple[bytes, int | None]]) -> None:
    """However many rows there are, none is lost, repeated or moved."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a BLOB, b INTEGER)")

    execute_rows(connection, "INSERT INTO t (a, b) SELECT * FROM {rows}", rows)

    found = connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall()
    connection.close()
    assert found == rows


def test_few_statements_serve_all_numbers_of_rows() -> None:
    """Up to 64 rows, 32 compiled statements do, two at most a time: the engine's cache of 128 has room for them."""
    sizes = [[len(part) for part in parts(range(n))] for n in range(1, 65)]

    assert len({size for cut in sizes for size in cut}) == 32
    assert max(map(len, sizes)) == 2


def test_no_part_holds_more_variables_than_sqlite_allows() -> None:
    """A thousand rows go in parts of at most 256."""
    assert max(len(part) for part in parts(range(1000))) == LARGEST


@pytest.mark.parametrize(("rows", "last"), [(0, 0), (1, 1), (45, 45), (600, 600)])
def test_the_last_inserted_row_is_told(rows: int, last: int) -> None:
    """Who inserts learns the id of the last row, in however many parts they went."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER)")

    told = execute_rows(connection, "INSERT INTO t (a) SELECT * FROM {rows}", [(7,)] * rows)

    connection.close()
    assert told == last


def test_what_rows_share_is_bound_once() -> None:
    """A shared value stands in every row, of every part."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER, b TEXT, c INTEGER)")

    execute_rows(connection, "INSERT INTO t (a, b, c) SELECT ?, ?, * FROM {rows}", [(n,) for n in range(45)], (7, "x"))

    found = connection.execute("SELECT a, b, c FROM t ORDER BY rowid").fetchall()
    connection.close()
    assert found == [(7, "x", n) for n in range(45)]
