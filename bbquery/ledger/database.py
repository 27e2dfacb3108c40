"""One embedded SQLite file for ledger and answer store: migrations, one writer, group commit.

Theory of operation.

1. All writes of a process go through one thread. It takes everything that waits, runs it in one transaction, and
   commits once; pieces of the same kind are handed to their function together. So the more there is to write, the
   cheaper each write. Work is reported as done only after the commit, so reported work survives `kill -9`.
   Where anything fails, all is undone and run again piece by piece, so that the piece at fault fails alone.
2. Processes take turns by two file locks: hold `turn` while waiting for `write`, release `turn`, write, release
   `write`. A process that has just written finds `turn` held by the one that waits, so none starves another; SQLite's
   own busy handler lets that happen. A process with more to write may keep `write` for several commits, but not long.
3. Readers use connections of their own, one a thread, and never wait (write-ahead log).
4. The schema is numbered files; a database newer than the code is refused, an older one is upgraded in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import portalocker

from bbquery.errors import StorageFailed, described
from bbquery.system.forks import OneProcess, close_in_children

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")
Together = Callable[[sqlite3.Connection, Sequence[P]], Sequence[R]]
"""Work on several parts at once; returns one result for each."""


@dataclass(eq=False)
class Piece:
    """Something to write. loop: whose event loop waits for it; None where a thread does."""

    work: Together[Any, Any]
    part: Any
    done: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None

    def begin(self) -> bool:
        """Return whether it is still wanted; from now on it cannot be cancelled by a thread."""
        return self.loop is not None or cast("Future[Any]", self.done).set_running_or_notify_cancel()


Outcome = tuple[Piece, Any, BaseException | None]

LARGEST_COMMIT = 512  # pieces of work; bounds how long the first waits for the last
LONGEST_TURN = 0.02  # seconds; bounds how long another process waits for the lock while we have more to write
SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM = 30  # a person with the file open in a database browser
_CONNECTING: dict[str, Any] = {
    "isolation_level": None,  # transactions are written out
    "check_same_thread": False,  # readers are closed by whoever closes the database
    "cached_statements": 512,  # compiled for each number of rows: see rows.py
    "timeout": SECONDS_TO_WAIT_FOR_ANOTHER_PROGRAM,
}


class Database:
    """A SQLite file with one writer thread. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Open and upgrade `path`, made if absent.

        Raises:
            StorageFailed: it cannot be opened, is not a database, or is newer than this version.
        """
        self.path, self._process = path, OneProcess(f"the ledger {path}")
        self._queue: queue.SimpleQueue[tuple[Piece, ...] | None] = queue.SimpleQueue()
        self._soon: dict[asyncio.AbstractEventLoop, list[Piece]] = {}
        self._readers = threading.local()
        self._closed = False
        self._reads = threading.Condition()  # SQLite must not close a connection that a thread is reading with
        self._reading = 0
        self._released = False
        with self._failures(), contextlib.ExitStack() as undo:
            self._turn_lock = undo.enter_context(path.with_name(path.name + ".turn").open("w"))
            self._write_lock = undo.enter_context(path.with_name(path.name + ".write").open("w"))
            close_in_children(self._turn_lock)
            close_in_children(self._write_lock)
            self._connection = sqlite3.connect(path, **_CONNECTING)
            undo.callback(self._connection.close)
            with _locked(self._write_lock, waiting=self._turn_lock):
                _prepare(self._connection)
                _migrate(self._connection, path)
            self._open = undo.pop_all()
        self._writer = threading.Thread(target=self._write_forever, name="bbquery-ledger", daemon=True)
        self._writer.start()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `work` in the next commit; the future is done after that commit, or failed and undone."""
        done: Future[T] = Future()
        self._enqueue(Piece(_alone, work, done, None))
        return done

    def write_soon(self, work: Together[P, R], part: P) -> asyncio.Future[R]:
        """Run `work` in the next commit on this part and all others that wait for it; called on an event loop."""
        self._process.check()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[R] = loop.create_future()
        soon = self._soon.setdefault(loop, [])
        soon.append(Piece(work, part, done, loop))
        if len(soon) == 1:  # what a loop's turn brings together crosses to the other thread together
            loop.call_soon(self._flush, loop)
        return done

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        pieces = self._soon.pop(loop)
        try:
            self._enqueue(*pieces)
        except StorageFailed as error:
            _tell([(piece, None, error) for piece in pieces])

    def _enqueue(self, *pieces: Piece) -> None:
        self._process.check()
        if self._closed:
            raise self._is_closed()
        self._queue.put(pieces)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, at once, on this thread's own connection."""
        self._process.check()
        with self._reads:
            if self._released:
                raise self._is_closed()
            self._reading += 1
        try:
            with self._failures():
                return work(self._reader())
        finally:
            with self._reads:
                self._reading -= 1
                self._reads.notify_all()

    def _reader(self) -> sqlite3.Connection:
        """Return this thread's connection, which is closed with the others."""
        if not hasattr(self._readers, "connection"):
            self._readers.connection = sqlite3.connect(self.path, **_CONNECTING)
            self._open.callback(self._readers.connection.close)
            _prepare(self._readers.connection)
        return cast("sqlite3.Connection", self._readers.connection)

    def _is_closed(self) -> StorageFailed:
        return StorageFailed(f"the ledger {self.path} is closed")

    def close(self) -> None:
        """Commit what waits and close; in a forked child it is left to the process that opened it."""
        if self._process.left:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        with self._reads:
            self._released = True
            self._reads.wait_for(lambda: not self._reading)
        self._open.close()

    def _write_forever(self) -> None:
        waiting: list[Piece] = []
        last = False
        try:
            while not last:
                waiting, last = self._take()
                if waiting:
                    last = self._in_our_turn(waiting) or last
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._closed = True
            while not self._queue.empty():
                waiting += [piece for piece in self._queue.get() or () if piece.begin()]
            failure = StorageFailed(f"the ledger {self.path} failed unexpectedly: {described(error)}")
            _report([(piece, None, failure) for piece in waiting if not piece.done.done()])

    def _take(self) -> tuple[list[Piece], bool]:
        """Wait for work, then take all there is."""
        taken: list[Piece] = []
        pieces = self._queue.get()
        while pieces is not None:
            taken += [piece for piece in pieces if piece.begin()]
            if self._queue.empty() or len(taken) >= LARGEST_COMMIT:
                return taken, False
            pieces = self._queue.get()
        return taken, True

    def _in_our_turn(self, waiting: list[Piece]) -> bool:
        """Commit these, and while our turn is not over, what came meanwhile; return whether that was the last."""
        last, began = False, time.monotonic()
        try:
            with self._failures(), _locked(self._write_lock, waiting=self._turn_lock):
                while waiting:
                    _report(self._commit(waiting))
                    waiting = []
                    if not last and not self._queue.empty() and time.monotonic() - began < LONGEST_TURN:
                        waiting, last = self._take()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to those who wait, not to this thread
            _report([(piece, None, error) for piece in waiting])
        return last

    def _commit(self, waiting: list[Piece]) -> list[Outcome]:
        kinds = _by_kind(waiting)
        try:
            with self._failures():
                try:
                    return self._transaction(lambda: [o for kind in kinds for o in self._together(kind)])
                except Exception:  # noqa: BLE001 - whose fault it was is found by taking them one by one
                    return self._transaction(lambda: [self._one(piece) for kind in kinds for piece in kind])
        except BaseException as error:  # noqa: BLE001 - as above
            return [(piece, None, error) for piece in waiting]

    def _transaction(self, work: Callable[[], list[Outcome]]) -> list[Outcome]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = work()
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _together(self, pieces: Sequence[Piece]) -> list[Outcome]:
        """Run pieces of one kind."""
        results = pieces[0].work(self._connection, [piece.part for piece in pieces])
        return [(piece, result, None) for piece, result in zip(pieces, results, strict=True)]

    def _one(self, piece: Piece) -> Outcome:
        """Run one piece; where it fails, it is undone and fails alone."""
        self._connection.execute("SAVEPOINT work")
        try:
            (outcome,) = self._together([piece])
        except Exception as error:  # noqa: BLE001 - reported to the one who asked for this piece of work
            self._connection.execute("ROLLBACK TO work")
            outcome = (piece, None, self._translated(error))
        self._connection.execute("RELEASE work")
        return outcome

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        """Return the error that a caller gets: StorageFailed for whatever the file or its disk did."""
        if isinstance(error, sqlite3.Error | OSError):
            return StorageFailed(f"the ledger {self.path} cannot be used: {error}")
        return error


@contextlib.contextmanager
def _locked(lock: TextIO, *, waiting: TextIO) -> Iterator[None]:
    """Hold `lock`; hold `waiting` only while waiting for it."""
    portalocker.lock(waiting, portalocker.LOCK_EX)
    try:
        portalocker.lock(lock, portalocker.LOCK_EX)
    finally:
        portalocker.unlock(waiting)
    try:
        yield
    finally:
        portalocker.unlock(lock)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _alone(connection: sqlite3.Connection, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
    return [work(connection) for work in works]


def _by_kind(waiting: Sequence[Piece]) -> list[list[Piece]]:
    """Put pieces that are run together beside each other; the others stay alone and in order."""
    kinds: dict[object, list[Piece]] = {}
    for place, piece in enumerate(waiting):
        kinds.setdefault(place if piece.loop is None else piece.work, []).append(piece)
    return list(kinds.values())


def _report(outcomes: Sequence[Outcome]) -> None:
    """Deliver the outcomes to their callers, with one call for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for piece, result, error in outcomes:
        if piece.loop is not None:
            loops.setdefault(piece.loop, []).append((piece, result, error))
        elif error is None:
            piece.done.set_result(result)
        else:
            piece.done.set_exception(error)
    for loop, here in loops.items():
        with contextlib.suppress(RuntimeError):  # a loop that is closed waits for nothing
            loop.call_soon_threadsafe(_tell, here)


def _tell(outcomes: Sequence[Outcome]) -> None:
    for piece, result, error in outcomes:
        if piece.done.done():
            continue
        if error is None:
            piece.done.set_result(result)
        else:
            piece.done.set_exception(error)


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
