"""Protocol of a database connection for the ledger's statements: the part of Python's SQLite driver that they use.

Statements are written once, in SQL that SQLite and PostgreSQL both understand; `postgres_connection` writes them as
PostgreSQL's driver wants them. What neither dialect shares is written so in each engine, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | bytes | bytearray | int | float | None
Values: TypeAlias = Sequence[Value] | Mapping[str, Value]


class Cursor(Protocol):
    """Rows of one statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    @property
    def lastrowid(self) -> int | None:
        """The id of the row that it inserted last."""

    def fetchone(self) -> Any:
        """Return the next row, a tuple; None where there is none left."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection, inside a transaction or for reading only. Values stand for ? in order, or for :name by name."""

    def execute(self, sql: str, parameters: Values = ..., /) -> Cursor:
        """Execute one statement."""

    def executemany(self, sql: str, parameters: Iterable[Values], /) -> Cursor:
        """Execute one statement for each of these values; the cursor counts the rows of all."""
