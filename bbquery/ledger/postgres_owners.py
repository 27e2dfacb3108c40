"""Live processes of several machines: each renews a lease in the ledger for as long as it lives.

1. A process that has not renewed its lease for `LEASE` seconds, by the server's clock, is dead. A server that was down
   heard of nobody: the time counts from its start.
2. A process counts its own lease from before each renewal, so that it takes itself for dead before any other can. One
   that lost its network may come back: what it settles then is recorded (`statements.settle`), and what it held before
   and has not sent is held anew (`Ledger.reserve`).
3. A lease needs no open connection, so none is mistaken for dead because a proxy closed one.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bbquery.ledger.engine import Owner
from bbquery.ledger.owners import batch_of
from bbquery.ledger.rows import parts, with_rows
from bbquery.system.forks import OneProcess

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection

LEASE = 30  # seconds; the least that a restart of the server, or a stutter of the network, must not pass for a death
RENEWAL = 5.0  # seconds
RETRIAL = (
    0.5  # seconds from a renewal that failed to the next: an outage must not outlast a lease by the waiting for it
)
MARGIN = 5.0  # seconds by which a process takes itself for dead before others do: what it sends then is on its way
FORGOTTEN = 86_400  # seconds after which a dead owner's row is removed
HEARD = f"""
SELECT name FROM owner
WHERE greatest(seen, pg_postmaster_start_time()) > clock_timestamp() - INTERVAL '{LEASE} seconds'
"""  # noqa: S608 - a constant
RENEW = (
    "INSERT INTO owner (name, seen) VALUES (?, clock_timestamp()) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen"
)
FORGET = f"DELETE FROM owner WHERE seen < clock_timestamp() - INTERVAL '{FORGOTTEN} seconds'"  # noqa: S608 - a constant

Attempt = Callable[[Callable[["Connection"], Any]], Any]
"""Runs work on a connection, once."""


class LeasedOwner(Owner):
    """This process, alive until `close` or the end of its lease. read: as attempt, again where the server was lost."""

    def __init__(self, attempt: Attempt, read: Attempt) -> None:
        self.name, self._process = uuid.uuid4().hex, OneProcess("an owner's lease")
        self._attempt, self._read = attempt, read
        self._closed = threading.Event()
        self._renewing = threading.Lock()
        self._lives_until = 0.0
        self.renew()
        self.epoch = 0
        read(lambda c: c.execute(FORGET))
        self._thread = threading.Thread(target=self._keep, name="bbquery-lease", daemon=True)
        self._thread.start()

    def dead(self, names: set[str]) -> set[str]:
        """Return those that were not heard of for too long."""
        processes = sorted(name for name in names if batch_of(name) is None)
        if not processes:
            return set()
        alive = {name for part in parts(processes) for name in self._heard(part)}
        return set(processes) - alive

    def others(self) -> int:
        """Return how many others were heard of."""
        return len({row[0] for row in self._read(lambda c: c.execute(HEARD).fetchall())} - {self.name})

    def may_have_company(self) -> bool:
        """Return true: a server is there for several machines, and counting them takes longer than a lease."""
        return True

    def close(self) -> None:
        """End the lease; a forked child leaves it to the process that has it."""
        if self._process.left:
            return
        self._closed.set()
        self._thread.join()
        with contextlib.suppress(Exception):  # then the lease ends by itself
            self._attempt(lambda c: c.execute("DELETE FROM owner WHERE name = ?", (self.name,)))

    def _heard(self, names: Any) -> list[str]:
        asked = with_rows(f"{HEARD} AND name IN {{rows}}", 1, len(names))
        return [row[0] for row in self._read(lambda c: c.execute(asked, names).fetchall())]

    def holds(self, epoch: int) -> bool:
        """Whether its lease has not lapsed since then."""
        return self.epoch == epoch and _now() < self._lives_until

    def renew(self) -> None:
        """Renew the lease; where the server is out of reach, once it is back."""
        self._renewed(self._read)

    def _renewed(self, run: Attempt) -> None:
        began = run(_renew(self.name))
        with self._renewing:
            self.epoch += began > self._lives_until
            self._lives_until = max(self._lives_until, began + LEASE - MARGIN)

    def _keep(self) -> None:
        """Renew the lease until it ends; where the server is out of reach, again and again."""
        pause = RENEWAL
        while not self._closed.wait(pause):
            try:
                self._renewed(self._attempt)
                pause = RENEWAL
            except Exception:  # noqa: BLE001 - whoever reads or writes meanwhile tells of it
                pause = RETRIAL


def _renew(name: str) -> Callable[[Connection], float]:
    """Return what renews a lease, and returns when it began to."""

    def work(connection: Connection) -> float:
        began = _now()
        connection.execute(RENEW, (name,))
        return began

    return work


def _now() -> float:
    """Return seconds on a clock that also counts while this machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
