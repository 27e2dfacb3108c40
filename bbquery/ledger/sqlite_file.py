"""A ledger in one embedded SQLite file.

Theory of operation.

1. Processes take turns by two file locks: hold `turn` while waiting for `write`, release `turn`, write, release
   `write`. A process that has just written finds `turn` held by the one that waits, so none starves another; SQLite's
   own busy handler lets that happen.
2. Readers use connections of their own and never wait (write-ahead log). A connection is lent to one reader at a time,
   so there are as many as ever read at once: threads come and go with every photo.
3. The schema is numbered files; a database newer than the code is refused, an older one is upgraded in one transaction.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.resources
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import portalocker

from bbquery.errors import StorageFailed
from bbquery.ledger.engine import Engine
from bbquery.ledger.owners import LockedOwner
from bbquery.system.disk import remedy
from bbquery.system.forks import close_in_children

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.connection import Connection, Values
    from bbquery.ledger.engine import Owner

T = TypeVar("T")
SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM = 30  # a person with the file open in a database browser
SECONDS_TO_WAIT_FOR_A_COMMIT = 10  # that another process may be amid, while the file is made smaller
_CONNECTING: dict[str, Any] = {
    "isolation_level": None,  # transactions are written out
    "check_same_thread": False,  # readers are closed by whoever closes the database
    "cached_statements": 512,  # compiled for each number of rows: see rows.py
    "timeout": SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM,
}


class SqliteFile(Engine):
    """A SQLite file."""

    now = "(julianday('now') - 2440587.5) * 86400.0"

    def __init__(self, path: Path) -> None:
        """Open and upgrade `path`, made if absent.

        Raises:
            StorageFailed: it cannot be opened, is not a database, is newer than this version, or was emptied.
        """
        self.path, self.name = path, str(path)
        self._wal = path.with_name(f"{path.name}-wal")
        self._owners = path.with_name(path.name + ".owners")
        _check_not_emptied(path, self._owners)
        self._free: list[sqlite3.Connection] = []
        with contextlib.ExitStack() as undo, self._failures():  # files are looked at before they are closed
            self._turn_lock = undo.enter_context(path.with_name(path.name + ".turn").open("w"))
            self._write_lock = undo.enter_context(path.with_name(path.name + ".write").open("w"))
            close_in_children(self._turn_lock)
            close_in_children(self._write_lock)
            self.connection = sqlite3.connect(path, **_CONNECTING)
            undo.callback(self.connection.close)
            with self.turn():
                _prepare(self.connection)
                _migrate(self.connection, path)
            self._open = undo.pop_all()

    def owner(self) -> Owner:
        """Hold a file lock for as long as this process lives."""
        try:
            return LockedOwner(self._owners)
        except OSError as error:
            why = remedy(error.errno)
            raise StorageFailed(f"cannot write into {self._owners}: {error.strerror}{why}") from error

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock of those who write; hold the other only while waiting for it."""
        portalocker.lock(self._turn_lock, portalocker.LOCK_EX)
        try:
            portalocker.lock(self._write_lock, portalocker.LOCK_EX)
        finally:
            portalocker.unlock(self._turn_lock)
        try:
            yield
        finally:
            portalocker.unlock(self._write_lock)

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and commit."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            results = work(self.connection)
            self.connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise
        return results

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that is lent to it, and closed with the others."""
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connected()
        try:
            return work(connection)
        finally:
            self._free.append(connection)

    def _connected(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(self.path, **_CONNECTING)
        self._open.callback(connection.close)
        _prepare(connection)
        return connection

    def read_at_one_moment(self, work: Callable[[Connection], T]) -> T:
        """Run `work` inside a transaction that only reads."""

        def at_one_moment(connection: Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")

        return self.read(at_one_moment)

    def translated(self, error: Exception) -> Exception:
        """Return StorageFailed for whatever the file or its disk did."""
        if isinstance(error, sqlite3.Error | OSError):
            why = remedy(_code(error), (self.path, self._wal))
            return StorageFailed(f"the ledger {self.name} cannot be used: {error}{why}")
        return error

    def fill(self, connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert rows one by one."""
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608 - constant names

    def number_on(self, connection: Connection) -> None:
        """Do nothing: a new row is numbered after the largest there is."""

    def size(self) -> int:
        """Return how many bytes the file takes, with what SQLite keeps beside it."""
        files = (self.path, self._wal)
        return sum(file.stat().st_size for file in files if file.exists())

    def vacuum(self) -> None:
        """Return the space of what was removed to the disk. Needs as much free space as the file takes meanwhile.

        Raises:
            StorageFailed: another process uses the file, or the disk is full.
        """
        options = _CONNECTING | {"timeout": SECONDS_TO_WAIT_FOR_A_COMMIT}
        try:
            with contextlib.closing(sqlite3.connect(self.path, **options)) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            message = (
                f"{self.name} could not be made smaller ({error}): nothing is lost; end other runs, see that the disk"
                " has room for a copy, and try again"
            )
            raise StorageFailed(message) from error

    def close(self) -> None:
        """Close the file and its locks."""
        self._open.close()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.translated(error) from error


def _code(error: sqlite3.Error | OSError) -> int | None:
    """Return the number of the operating system for what SQLite or the system said; None where there is none."""
    if isinstance(error, OSError):
        return error.errno
    return _CODES.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY)


_PRIMARY = 0xFF  # of SQLite's error codes: the rest says more than people need
_CODES = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
}


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, each step in a transaction of its own."""
    folder = importlib.resources.files("bbquery.ledger") / "migrations"
    steps = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise StorageFailed(
            f"the ledger {path} is of version {version}, newer than this bbquery knows: upgrade bbquery"
        )
    for number, script in enumerate(steps[version:], version + 1):
        connection.executescript(f"BEGIN;\n{script.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")


def _check_not_emptied(path: Path, owners_of: Path) -> None:
    """Check that a ledger that is empty, or not there, is a new one.

    Raises:
        StorageFailed: what lies beside it says that it held something.
    """
    wal = path.with_name(path.name + "-wal")
    try:
        if path.exists() and path.stat().st_size:
            return
        beside = [wal] if wal.exists() and wal.stat().st_size else []
        if path.exists():  # one that was deleted was deleted by somebody
            beside += [folder for folder in (owners_of, path.with_name(path.name + ".batches")) if folder.exists()]
    except OSError:  # whoever opens it gets the error
        return
    if beside:
        state = "empty" if path.exists() else "gone"
        raise StorageFailed(
            f"the ledger {path} is {state}, but {beside[0].name} beside it is of one that was in use: it was damaged."
            " Restore it from a backup, with all files whose names begin like its own; or move all of these away to"
            " begin anew, without what was spent and answered so far"
        )
