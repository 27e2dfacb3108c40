"""SQL over many rows in one statement.

Each step releases the interpreter's lock and takes it back, which is slow beside a busy event loop: a row at a time,
a commit of 64 rows takes the lock some 400 times. So rows travel as the terms of one VALUES, in a few sizes that
keep the number of different statements small enough for the engine's cache of compiled ones.

The driver takes numbers, strings and bytearrays as they are. For anything else, bytes and None included, it first
searches for an adapter, which takes longer than the row: so what a row has of these is a `blob`, or is shared.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.ledger.connection import Connection, Cursor, Value

T = TypeVar("T")
blob = bytearray
"""Bytes as the driver binds them fastest."""
LARGEST = 256  # rows in a statement; with 16 columns still well below SQLite's 32,766 variables
DIGITS = 4  # binary digits of a size that may differ from 0: up to 15 rows go at once, 45 as 44 and 1


def execute_rows(
    connection: Connection, statement: str, rows: Sequence[Sequence[Value]], shared: Sequence[Value] = ()
) -> int:
    """Execute a statement on rows of equal width; `{rows}` in it stands for a table of them: column1, column2, ...

    shared: what all rows have in common, bound once, to each ? of the statement; they stand before `{rows}`.
    Return how many rows were changed.
    """
    return sum(cursor.rowcount for cursor in _executed(connection, statement, rows, shared))


def insert_rows(
    connection: Connection, statement: str, rows: Sequence[Sequence[Value]], shared: Sequence[Value] = ()
) -> int:
    """Execute a statement that inserts rows, as `execute_rows` does; return the id of the last, 0 if there is none."""
    last = 0
    for cursor in _executed(connection, statement, rows, shared):
        last = cursor.lastrowid or 0
    return last


def _executed(
    connection: Connection, statement: str, rows: Sequence[Sequence[Value]], shared: Sequence[Value]
) -> Iterator[Cursor]:
    for part in parts(rows):
        written = with_rows(statement, len(rows[0]), len(part))
        yield connection.execute(written, (*shared, *itertools.chain.from_iterable(part)))


@functools.lru_cache(maxsize=512)
def with_rows(statement: str, width: int, rows: int) -> str:
    """Return a statement with terms for so many rows; writing one takes longer than running it for a row."""
    row = f"({', '.join('?' * width)})"
    return statement.format(rows=f"(VALUES {', '.join([row] * rows)})")


def parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut rows into parts of the few sizes that statements are compiled for."""
    start = 0
    while start < len(rows):
        left = min(len(rows) - start, LARGEST)
        digits_too_many = max(left.bit_length() - DIGITS, 0)
        length = left >> digits_too_many << digits_too_many
        yield rows[start : start + length]
        start += length
