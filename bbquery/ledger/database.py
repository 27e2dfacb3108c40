"""One writer thread with group commit, over whichever database a ledger is in.

Theory of operation.

1. All writes of a process go through one thread. It takes everything that waits, runs it in one transaction, and
   commits once; pieces of the same kind are handed to their function together. So the more there is to write, the
   cheaper each write. Work is reported as done only after the commit, so reported work survives `kill -9`.
   Where anything fails, all is undone and run again piece by piece, so that the piece at fault fails alone.
2. Processes take turns as the engine says (`sqlite_file`, `postgres`). A process with more to write may keep its turn
   for several commits, but not long.
3. Readers never wait for writers.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bbquery.errors import StorageFailed, described
from bbquery.ledger.connection import Connection
from bbquery.ledger.engine import OutOfReach
from bbquery.system.forks import OneProcess

if TYPE_CHECKING:
    from bbquery.ledger.engine import Engine

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")
Together = Callable[[Connection, Sequence[P]], Sequence[R]]
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


class Database:
    """A database with one writer thread. Safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        """Write to a database that is open; `close` closes it."""
        self.engine, self._process = engine, OneProcess(f"the ledger {engine.name}")
        self._queue: queue.SimpleQueue[tuple[Piece, ...] | None] = queue.SimpleQueue()
        self._soon: dict[asyncio.AbstractEventLoop, list[Piece]] = {}
        self._closed = False
        self._reads = threading.Condition()  # no connection is closed that a thread is reading with
        self._reading = 0
        self._released = False
        self._writer = threading.Thread(target=self._write_forever, name="bbquery-ledger", daemon=True)
        self._writer.start()

    def write(self, work: Callable[[Connection], T]) -> Future[T]:
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

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, at once, on this thread."""
        with self._while_reading():
            return self.engine.read(work)

    def read_at_one_moment(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, at once; all it sees is of one moment."""
        with self._while_reading():
            return self.engine.read_at_one_moment(work)

    @contextlib.contextmanager
    def _while_reading(self) -> Iterator[None]:
        self._process.check()
        with self._reads:
            if self._released:
                raise self._is_closed()
            self._reading += 1
        try:
            with self._failures():
                yield
        finally:
            with self._reads:
                self._reading -= 1
                self._reads.notify_all()

    def _is_closed(self) -> StorageFailed:
        return StorageFailed(f"the ledger {self.engine.name} is closed")

    def finish(self) -> None:
        """Commit what waits, and take no more; what is there may still be read."""
        if self._process.left or self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()

    def close(self) -> None:
        """Commit what waits and close; in a forked child it is left to the process that opened it."""
        if self._process.left:
            return
        self.finish()
        with self._reads:
            self._released = True
            self._reads.wait_for(lambda: not self._reading)
        self.engine.close()

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
            failure = StorageFailed(f"the ledger {self.engine.name} failed unexpectedly: {described(error)}")
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
            with self._failures(), self.engine.turn():
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
                    return self.engine.transaction(lambda c: [o for kind in kinds for o in _together(c, kind)])
                except OutOfReach:
                    raise
                except Exception:  # noqa: BLE001 - whose fault it was is found by taking them one by one
                    return self.engine.transaction(lambda c: [self._one(c, piece) for kind in kinds for piece in kind])
        except BaseException as error:  # noqa: BLE001 - as above
            return [(piece, None, error) for piece in waiting]

    def _one(self, connection: Connection, piece: Piece) -> Outcome:
        """Run one piece; where it fails, it is undone and fails alone."""
        connection.execute("SAVEPOINT work")
        try:
            (outcome,) = _together(connection, [piece])
        except Exception as error:  # noqa: BLE001 - reported to the one who asked for this piece of work
            connection.execute("ROLLBACK TO work")
            outcome = (piece, None, self.engine.translated(error))
        connection.execute("RELEASE work")
        return outcome

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            translated = self.engine.translated(error)
            if translated is error:
                raise
            raise translated from error


def _together(connection: Connection, pieces: Sequence[Piece]) -> list[Outcome]:
    """Run pieces of one kind."""
    results = pieces[0].work(connection, [piece.part for piece in pieces])
    return [(piece, result, None) for piece, result in zip(pieces, results, strict=True)]


def _alone(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
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
