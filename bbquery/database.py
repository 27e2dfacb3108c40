"""One embedded SQLite file for ledger and answer store: migrations, one writer, group commit.

Theory of operation.

1. All writes of a process go through one thread. It takes everything that waits, runs each piece of work in its own
   savepoint inside one transaction, and commits once: the more there is to write, the cheaper each write. Work is
   reported as done only after the commit, so what a caller was told survives `kill -9`.
2. Processes take turns by two file locks, as people do at a door with a waiting chair: hold the chair (`turn`), wait
   there for the door (`write`), free the chair, write, free the door. Whoever just wrote finds the chair taken by
   the one who waits, so no process starves another; SQLite's own busy handler lets that happen.
3. Readers use connections of their own, one a thread, and never wait (write-ahead log).
4. The schema is numbered files; a database newer than the code is refused, an older one is upgraded in one transaction.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, cast

import portalocker

from bbquery.errors import StorageFailed

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

LARGEST_COMMIT = 512  # pieces of work; bounds how long the first waits for the last
SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM = 30  # a person with the file open in a database browser
_CONNECTING: dict[str, Any] = {
    "isolation_level": None,  # transactions are written out
    "check_same_thread": False,  # readers are closed by whoever closes the database
    "timeout": SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM,
}


class Database:
    """A SQLite file with one writer thread. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Open and upgrade `path`, made if absent.

        Raises:
            StorageFailed: it cannot be opened, is not a database, or is newer than this version.
        """
        self.path = path
        self._queue: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._closed = False
        with self._failures(), contextlib.ExitStack() as undo:
            self._turn = undo.enter_context(path.with_name(path.name + ".turn").open("w"))
            self._door = undo.enter_context(path.with_name(path.name + ".write").open("w"))
            self._connection = sqlite3.connect(path, **_CONNECTING)
            undo.callback(self._connection.close)
            with self._our_turn():
                _prepare(self._connection)
                _migrate(self._connection, path)
            self._open = undo.pop_all()
        self._writer = threading.Thread(target=self._write_forever, name="bbquery-ledger", daemon=True)
        self._writer.start()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `work` in the next commit; the future is done after that commit, or failed and undone."""
        done: Future[T] = Future()
        if self._closed:
            raise StorageFailed(f"the ledger {self.path} is closed")
        self._queue.put((work, done))
        return done

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, at once, on this thread's own connection."""
        with self._failures():
            if not hasattr(self._readers, "connection"):
                self._readers.connection = sqlite3.connect(self.path, **_CONNECTING)
                self._open.callback(self._readers.connection.close)
                _prepare(self._readers.connection)
            return work(cast("sqlite3.Connection", self._readers.connection))

    def close(self) -> None:
        """Commit what waits and close."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        self._open.close()

    def _write_forever(self) -> None:
        last = False
        while not last:
            waiting, last = self._take()
            if waiting:
                self._commit(waiting)

    def _take(self) -> tuple[list[tuple[Work, Future[Any]]], bool]:
        """Wait for work, then take all there is."""
        taken: list[tuple[Work, Future[Any]]] = []
        item = self._queue.get()
        while item is not None:
            taken.append(item)
            if self._queue.empty() or len(taken) == LARGEST_COMMIT:
                return taken, False
            item = self._queue.get()
        return taken, True

    def _commit(self, waiting: list[tuple[Work, Future[Any]]]) -> None:
        finished: list[Callable[[], None]] = []
        try:
            with self._failures(), self._our_turn():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    for work, done in waiting:
                        finished.append(self._run(work, done))
                    self._connection.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    raise
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to those who wait, not to this thread
            finished = [
                _failing(done, error) for _, done in waiting if done.running() or done.set_running_or_notify_cancel()
            ]
        for report in finished:
            report()

    def _run(self, work: Work, done: Future[Any]) -> Callable[[], None]:
        """Run one piece of work in its savepoint; return what to report after the commit."""
        if not done.set_running_or_notify_cancel():
            return lambda: None
        self._connection.execute("SAVEPOINT work")
        try:
            result = work(self._connection)
        except Exception as error:  # noqa: BLE001 - reported to the one who asked for this piece of work
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return _failing(done, error)
        self._connection.execute("RELEASE work")
        return lambda: done.set_result(result)

    @contextlib.contextmanager
    def _our_turn(self) -> Iterator[None]:
        with _locked(self._door, waiting=self._turn):
            yield

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageFailed(f"the ledger {self.path} cannot be used: {error}") from error


@contextlib.contextmanager
def _locked(door: TextIO, *, waiting: TextIO) -> Iterator[None]:
    """Hold `door`, waiting for it on the chair `waiting`."""
    portalocker.lock(waiting, portalocker.LOCK_EX)
    try:
        portalocker.lock(door, portalocker.LOCK_EX)
    finally:
        portalocker.unlock(waiting)
    try:
        yield
    finally:
        portalocker.unlock(door)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _failing(done: Future[Any], error: BaseException) -> Callable[[], None]:
    return lambda: done.set_exception(error)


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
