"""A ledger on PostgreSQL, for several machines.

Theory of operation.

1. Whoever writes holds one advisory lock from the beginning of the transaction to its end, so that transactions follow
   one another as they do in SQLite, and every rule of `statements` holds as it does there. The server grants the lock
   in the order in which it was asked for, so none starves.
2. A connection that is lost before COMMIT was sent did nothing: the transaction is run again on another. One that is
   lost while COMMIT is under way is looked up once the server answers, and run again only if it was undone: by the
   number of its transaction, which says when it has ended, and by what this process committed last (`last_commit`),
   for a server that crashed may have given the number to another transaction. So nothing is recorded twice, and
   nothing that was paid is lost while the server restarts.
   A process that loses its network inside a transaction keeps the others waiting for `LONGEST_IDLE` at most.
3. Nothing is sent without a hold that is committed, so while the server is out of reach nothing new is.
4. Owners have a lease: see `postgres_owners`.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from blake3 import blake3

from bbquery.errors import StorageFailed
from bbquery.ledger.engine import FOUND, LOST, Engine, OutOfReach
from bbquery.ledger.postgres_connection import PostgresConnection, SnapshotConnection, prepare
from bbquery.ledger.postgres_owners import LeasedOwner
from bbquery.ledger.postgres_url import advised
from bbquery.system import home
from bbquery.telemetry import note

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection, Values
    from bbquery.ledger.engine import Owner
    from bbquery.ledger.postgres_url import Address

T = TypeVar("T")

LONGEST_OUTAGE = 900.0  # seconds that a reader waits; a restart takes seconds, a failover minutes
LONGEST_KEPT = 86_400.0  # seconds that what is to be written waits: answers that were paid for are among it
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between attempts to reach the server; then the last again and again
READERS = 3  # connections at once; a server has some hundred for everybody
LONGEST_IDLE = 15  # seconds that a transaction may wait for its client: one that lost its network holds up the others
LOCK = 0x62627175  # "bbqu": told apart from other programs' advisory locks
BEGIN = f"BEGIN; SELECT pg_current_xact_id()::TEXT, pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))"
MARK = (
    "INSERT INTO last_commit (process, number, seen) VALUES (%s, %s, clock_timestamp())"
    " ON CONFLICT (process) DO UPDATE SET number = excluded.number, seen = excluded.seen"
)
MARKED = "SELECT 1 FROM last_commit WHERE process = %s AND number = %s"
FORGET = "DELETE FROM last_commit WHERE seen < clock_timestamp() - INTERVAL '2 days'"  # longer than `LONGEST_KEPT`
TIME_OUTS = {  # of a network that drops what is sent, in seconds and milliseconds
    "connect_timeout": "10", "keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5",
    "keepalives_count": "3", "tcp_user_timeout": "25000",
}  # fmt: skip
SETTINGS = (
    "SET search_path TO {schema}; SET client_min_messages = warning;"
    f" SET idle_in_transaction_session_timeout = '{LONGEST_IDLE}s';"
    # A commit survives a crash of the server, even of one that is set to forget the last ones.
    " SELECT set_config('synchronous_commit', 'on', FALSE) WHERE current_setting('synchronous_commit') = 'off'"
)
PREPARED = 500  # statements; see rows.py
TRANSIENT = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    psycopg.errors.TooManyConnections,
)

Raw = psycopg.Connection[Any]


class Postgres(Engine):
    """A schema in a database of a server."""

    now = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"  # of the moment, not of the transaction
    seconds_between_looks = 0.5  # each is a query of a server that many ask

    def __init__(self, address: Address) -> None:
        """Open and upgrade it, made if absent.

        Raises:
            StorageFailed: the server cannot be reached, refuses, or holds a ledger that is newer than this version.
        """
        self.name, self._address = address.name, address
        self.path = home.data_dir() / f"postgresql-{blake3(address.name.encode()).hexdigest(length=8)}"
        self._free: list[Raw] = []
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(READERS)
        self._writing: Raw | None = None
        self._process, self._transactions = uuid.uuid4().hex, 0
        try:
            self._writing = self._connected()
            _migrate(self._writing, address)
            self._writing.execute(FORGET)
        except psycopg.Error as error:
            self.close()
            raise self.translated(error) from error
        except BaseException:
            self.close()
            raise

    # --- writing ---

    def owner(self) -> Owner:
        """Begin a lease.

        Raises:
            StorageFailed: the server refuses.
        """
        try:
            return LeasedOwner(self.attempt_to_read, self.read)
        except psycopg.Error as error:
            raise self.translated(error) from error

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Wait for nothing: each transaction waits for its own lock, and the server lets them in by turns."""
        return contextlib.nullcontext()

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and commit, again where the server was lost before; what was committed is not run again."""
        outage = _Outage(self, LONGEST_KEPT)
        self._transactions += 1
        while True:
            try:
                raw = self._writing = self._writing or self._connected()
                number = _begun(raw)
                raw.execute(MARK, (self._process, self._transactions))
                result = work(PostgresConnection(raw))
            except Exception as error:
                if not self._is_lost(error):
                    self._rolled_back()
                    raise
                self._drop_writing()
                outage.wait(error)
                continue
            try:
                raw.execute("COMMIT", prepare=False)
            except Exception as error:
                if not self._is_lost(error):
                    self._rolled_back()
                    raise
                self._drop_writing()
                outage.wait(error)
                if not self._was_committed(number, outage):
                    continue
            outage.over()
            return result

    def _was_committed(self, number: str, outage: _Outage) -> bool:
        """Return what became of a transaction whose COMMIT was under way when the connection was lost."""
        while True:
            try:
                self._writing = self._writing or self._connected()
                row = self._writing.execute("SELECT pg_xact_status(%s::xid8)", (number,)).fetchone()
                # In a statement of its own: one that began before the end of the transaction would not see it.
                marked = self._writing.execute(MARKED, (self._process, self._transactions)).fetchone()
            except psycopg.Error as error:
                self._drop_writing()
                outage.wait(error)
                continue
            if row is not None and row[0] in ("committed", "aborted"):
                return marked is not None
            outage.wait(StorageFailed(f"the server does not know yet what became of transaction {number}"))

    def _rolled_back(self) -> None:
        if self._writing is not None:
            try:
                self._writing.execute("ROLLBACK")
            except psycopg.Error:
                self._drop_writing()

    def _drop_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _is_lost(self, error: Exception) -> bool:
        """Whether an error means that the connection, and not what was asked, is at fault."""
        if self._writing is None or self._writing.closed:
            return isinstance(error, psycopg.Error | OSError)
        return isinstance(error, TRANSIENT)

    # --- reading ---

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, again where the server was lost."""
        outage = _Outage(self, LONGEST_OUTAGE)
        while True:
            try:
                result = self.attempt_to_read(work)
            except psycopg.OperationalError as error:
                if error.sqlstate is not None and not isinstance(error, TRANSIENT):
                    raise  # the server is there, and refuses what was asked
                outage.wait(error)
            else:
                outage.over()
                return result

    def read_at_one_moment(self, work: Callable[[Connection], T]) -> T:
        """Run `work` inside a transaction that only reads."""
        with self._reader() as raw:
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = SnapshotConnection(raw)
            try:
                return work(snapshot)
            finally:
                if not raw.closed:
                    snapshot.close()
                    raw.execute("ROLLBACK")

    def attempt_to_read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` once, on a connection on which each statement is a transaction of its own."""
        with self._reader() as raw:
            return work(PostgresConnection(raw))

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Raw]:
        """Lend one of a few connections."""
        with self._readers:
            with self._lock:
                raw = self._free.pop() if self._free else None
            raw = raw or self._connected()
            try:
                yield raw
            except BaseException as error:
                raw.close()
                if isinstance(error, psycopg.OperationalError):
                    self._drop_free()  # a server that is lost has closed them all
                raise
            with self._lock:
                self._free.append(raw)

    # --- the server ---

    def _connected(self) -> Raw:
        raw: Raw = psycopg.connect(**TIME_OUTS | dict(self._address.parameters), autocommit=True)  # type: ignore[arg-type] # libpq's are text
        try:
            prepare(raw)
            raw.prepared_max = PREPARED
            raw.execute(SETTINGS.format(schema=self._address.schema).encode())
        except BaseException:
            raw.close()
            raise
        return raw

    def translated(self, error: Exception) -> Exception:
        """Return StorageFailed for whatever the server did."""
        if isinstance(error, psycopg.Error):
            return StorageFailed(f"the ledger {self.name} cannot be used: {advised(_said(error))}")
        return error

    def fill(self, connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Stream the rows."""
        assert isinstance(connection, PostgresConnection)  # noqa: S101 - what `transaction` hands out
        connection.stream(table, columns, rows)

    def number_on(self, connection: Connection) -> None:
        """Set the counters of the tables that have one."""
        for table in ("budget", "attempt", "batch"):
            largest = f"(SELECT max(id) FROM {table})"  # noqa: S608 - constant names
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {largest})")

    def size(self) -> int:
        """Return how many bytes its tables and their indices take."""
        sizes = (
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r' AND relnamespace"
        )
        row = self.read(lambda c: c.execute(f"{sizes} = CAST(current_schema() AS regnamespace)").fetchone())
        return int(row[0])

    def vacuum(self) -> None:
        """Return the space of what was removed to the server's disk."""
        for table in ("answer", "attempt"):
            self.read(lambda c, table=table: c.execute(f"VACUUM FULL {table}"))  # type: ignore[misc] # a default binds the loop's table

    def close(self) -> None:
        """Close every connection."""
        self._drop_writing()
        self._drop_free()

    def _drop_free(self) -> None:
        with self._lock:
            for raw in self._free:
                raw.close()
            self._free.clear()


class _Outage:
    """A time in which a server is out of reach, if there is one. longest: seconds."""

    def __init__(self, server: Postgres, longest: float) -> None:
        self._server, self._longest, self._began, self._pauses = server, longest, 0.0, iter(PAUSES)

    def wait(self, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            OutOfReach: it has lasted too long.
        """
        name = self._server.name
        if not self._began:  # one connection, which may have been closed for itself
            self._began = time.monotonic()
        elif not self._server.out_of_reach:
            self._server.out_of_reach = True
            note(LOST, logging.WARNING, ledger=name, reason=_said(error))
        if time.monotonic() - self._began > self._longest:
            minutes = self._longest / 60
            raise OutOfReach(f"the ledger {name} was out of reach for {minutes:.0f} minutes: {_said(error)}") from error
        time.sleep(next(self._pauses, PAUSES[-1]))

    def over(self) -> None:
        """Note that it is over, if there was one."""
        if self._server.out_of_reach:
            self._server.out_of_reach = False
            note(FOUND, logging.WARNING, ledger=self._server.name)


def _said(error: Exception) -> str:
    """Return what a server or its driver said; the lines after the first explain what that might mean."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return (primary or str(error) or type(error).__name__).splitlines()[0].strip()


def _begun(raw: Raw) -> str:
    """Begin a transaction that alone may write; return its number."""
    cursor = raw.execute(BEGIN, prepare=False)
    cursor.nextset()
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - SELECT without FROM has one row
    return str(row[0])


def _migrate(raw: Raw, address: Address) -> None:
    """Bring the schema to the newest version, all of it or nothing.

    Raises:
        StorageFailed: it is newer than this version.
    """
    folder = importlib.resources.files("bbquery.ledger") / "migrations" / "postgresql"
    steps = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    if _version(raw) == len(steps):
        return
    with raw.transaction():
        raw.execute(f"SELECT pg_advisory_xact_lock({LOCK}, hashtext('{address.schema}'))".encode())
        if raw.execute("SELECT to_regnamespace(%s)", (address.schema,)).fetchone() == (None,):
            raw.execute(f"CREATE SCHEMA {address.schema}".encode())
        version = _version(raw)
        if version > len(steps):
            raise StorageFailed(
                f"the ledger {address.name} is of version {version}, newer than this bbquery knows: upgrade bbquery"
            )
        for script in steps[version:]:
            raw.execute(script.read_text().encode())
        raw.execute("CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)")
        raw.execute("DELETE FROM version")
        raw.execute("INSERT INTO version VALUES (%s)", (len(steps),))


def _version(raw: Raw) -> int:
    if raw.execute("SELECT to_regclass('version')").fetchone() == (None,):
        return 0
    row = raw.execute("SELECT number FROM version").fetchone()
    return 0 if row is None else int(row[0])
