"""A connection to PostgreSQL that takes the ledger's statements as they are written: the one home of its dialect.

1. Values stand for ? and :name, as in SQLite.
2. A CAST to BLOB of a text gives its bytes. PostgreSQL's texts are always texts, SQLite's may be damaged.
3. Whole numbers are BIGINT, whatever their size, so that a statement is prepared once. A sum of them, which PostgreSQL
   counts without bound, is a whole number here too.
4. A text may hold no NUL there: it is written out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

if TYPE_CHECKING:
    from psycopg.abc import Buffer

    from bbquery.ledger.connection import Cursor, Values

_TEXTS = re.compile("('[^']*')")
_BLOB = re.compile(r"CAST\((\w+(?:\.\w+)?) AS BLOB\)")
_NAMED = re.compile(r"(?<![:\w]):([a-z]\w*)")
ROWS_AT_ONCE = 2_000
"""Rows that a reader of many has in memory."""


class _Text(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\\x00") if "\0" in obj else obj)


class _Whole(psycopg.adapt.Loader):
    def load(self, data: Buffer) -> int:
        return int(bytes(data))


def prepare(raw: psycopg.Connection[Any]) -> None:
    """Set how values travel over a new connection."""
    raw.adapters.register_dumper(int, Int8Dumper)
    raw.adapters.register_dumper(str, _Text)
    raw.adapters.register_loader("numeric", _Whole)


@functools.lru_cache(maxsize=1024)
def written(statement: str) -> bytes:
    """Return a statement as the driver wants it."""
    return "".join(
        part.replace("%", "%%") if place % 2 else _outside_texts(part)
        for place, part in enumerate(_TEXTS.split(statement))
    ).encode()


def _outside_texts(part: str) -> str:
    part = _BLOB.sub(r"convert_to(\1, 'UTF8')", part.replace("%", "%%")).replace("?", "%s")
    return _NAMED.sub(r"%(\1)s", part)


class _Rows:
    """Rows of one statement, as `bbquery.ledger.connection.Cursor` has them."""

    def __init__(self, raw: psycopg.Connection[Any], cursor: psycopg.Cursor[Any]) -> None:
        self._raw, self._cursor = raw, cursor
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        row = self._raw.execute("SELECT lastval()").fetchone()
        return None if row is None else int(row[0])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


class PostgresConnection:
    """A connection whose statements are the ledger's."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def execute(self, sql: str, parameters: Values = (), /) -> Cursor:
        """Execute one statement."""
        return _Rows(self._raw, self._raw.execute(written(sql), parameters or None))

    def executemany(self, sql: str, parameters: Iterable[Values], /) -> Cursor:
        """Execute one statement for each of these values."""
        cursor = self._raw.cursor()
        cursor.executemany(written(sql), parameters)
        return _Rows(self._raw, cursor)

    def stream(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert rows as a stream, which takes less of the server than a statement each."""
        with self._raw.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(tuple(row))


class SnapshotConnection(PostgresConnection):
    """A connection inside a transaction that only reads, whose rows stay at the server until they are asked for."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        super().__init__(raw)
        self._open: list[psycopg.ServerCursor[Any]] = []

    def execute(self, sql: str, parameters: Values = (), /) -> Cursor:
        """Execute one statement that returns rows."""
        cursor = psycopg.ServerCursor(self._raw, f"rows_{len(self._open)}")
        cursor.itersize = ROWS_AT_ONCE
        self._open.append(cursor)
        return _Rows(self._raw, cursor.execute(written(sql), parameters or None))

    def close(self) -> None:
        """Give up what was not asked for."""
        for cursor in self._open:
            cursor.close()
