"""Places where a ledger can be: a file on this machine, or PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bbquery.errors import MissingExtra, UsageError
from bbquery.ledger.sqlite_file import SqliteFile
from bbquery.system import home

if TYPE_CHECKING:
    from bbquery.ledger.engine import Engine

Place: TypeAlias = str | Path
ENVIRONMENT = "BBQUERY_LEDGER"
SCHEMES = ("postgresql", "postgres")


def chosen(place: Place | None = None) -> Place:
    """Return the place of a ledger: the one given, or else the person's, or else a file in bbquery's data folder."""
    if place is not None:
        return place
    return os.environ.get(ENVIRONMENT) or home.data_dir() / "bbquery.sqlite3"


def opened(place: Place | None = None) -> Engine:
    """Open the database of a ledger, made if absent.

    Raises:
        StorageFailed: it cannot be used. UsageError: that is no place, or PostgreSQL's driver is missing.
    """
    where = chosen(place)
    scheme, is_address, _ = str(where).partition("://")
    if isinstance(where, Path) or not is_address:
        return SqliteFile(Path(where))
    if scheme not in SCHEMES:
        raise UsageError(f"a ledger is a file, or is at postgresql://USER@HOST/DATABASE; {scheme}:// is neither")
    return _on_postgres(where)


def _on_postgres(url: str) -> Engine:
    try:
        from bbquery.ledger import postgres, postgres_url  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingExtra("postgresql", "a ledger on PostgreSQL", error.name or "psycopg") from error
    return postgres.Postgres(postgres_url.read(url))
