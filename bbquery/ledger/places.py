"""Places where a ledger can be: a file on this machine, or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bbquery.errors import MissingExtra, UsageError
from bbquery.ledger.address_secrets import check_no_secret
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
    where = checked(chosen(place))
    return SqliteFile(where) if isinstance(where, Path) else _on_postgres(where)


def checked(place: Place) -> Place:
    """Return a place as a path, or an address of PostgreSQL without a password.

    Raises:
        UsageError: it is neither. The message does not repeat an address.
    """
    scheme, is_address, _ = str(place).partition("://")
    if isinstance(place, Path) or not is_address:
        if not str(place):
            raise UsageError("the place of a ledger is empty")
        return Path(place).expanduser()
    if scheme not in SCHEMES:
        raise UsageError(f"a ledger is a file, or is at postgresql://USER@HOST/DATABASE; {scheme[:20]}:// is neither")
    check_no_secret(place)
    return place


@contextlib.contextmanager
def preferred(place: Place | None) -> Iterator[None]:
    """Take a place, if one is given, for the person's own as long as this lasts, in child processes too."""
    before = os.environ.get(ENVIRONMENT)
    if place is not None:
        os.environ[ENVIRONMENT] = str(place)
    try:
        yield
    finally:
        if place is not None:
            os.environ.pop(ENVIRONMENT)
            os.environ.update({} if before is None else {ENVIRONMENT: before})


def _on_postgres(url: str) -> Engine:
    try:
        from bbquery.ledger import postgres, postgres_url  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingExtra("postgresql", "a ledger on PostgreSQL", error.name or "psycopg") from error
    return postgres.Postgres(postgres_url.read(url))
