"""A ledger's database, as `bbquery.ledger.database` uses it: SQLite in a file, or PostgreSQL on a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from bbquery.errors import StorageFailed

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.connection import Connection, Values

T = TypeVar("T")
LOST, FOUND = "ledger lost", "ledger found"
"""Events in the log: the database is out of reach, and is back."""


class OutOfReach(StorageFailed):
    """The database was out of reach for so long that what was to be written is given up. No piece of it is at fault."""


class Owner(ABC):
    """This process as one who sends, and the others as this one sees them. name: its own.

    epoch: how often the others may have taken it for dead so far.
    """

    name: str
    epoch = 0

    def holds(self, epoch: int) -> bool:
        """Whether nobody can have taken it for dead since then."""
        return self.epoch == epoch

    @abstractmethod
    def renew(self) -> None:
        """Let the others know that it lives."""

    @abstractmethod
    def dead(self, names: set[str]) -> set[str]:
        """Return which of these processes no longer run. A batch is no process, and is never dead."""

    @abstractmethod
    def others(self) -> int:
        """Return how many other processes have the ledger open."""

    @abstractmethod
    def may_have_company(self) -> bool:
        """Whether others may send at this moment, so that what a provider allows must be shared."""

    @abstractmethod
    def close(self) -> None:
        """Be dead from now on; a forked child leaves that to the process that it came from."""


class Engine(ABC):
    """A database. Only one thread at a time is in `turn` or `transaction`; reading is safe from any.

    name: what people call it; holds no password. path: where this machine keeps files that belong to it, each beside
    this one and named after it; SQLite's own file is there. out_of_reach: whether something waits for it to be back.
    now: SQL for its time, in seconds since 1970.
    """

    name: str
    path: Path
    now: str
    seconds_between_looks = 0.05  # at what other processes have in flight
    out_of_reach = False

    @abstractmethod
    def owner(self) -> Owner:
        """Begin to be an owner of attempts."""

    @abstractmethod
    def turn(self) -> AbstractContextManager[None]:
        """Wait for the right to write, and keep it for several transactions, but not for long."""

    @abstractmethod
    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` while nothing else writes, and commit; where it raises, nothing is done.

        It may be run more than once, where the first time was undone.
        """

    @abstractmethod
    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads."""

    @abstractmethod
    def read_at_one_moment(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads; all it sees is of one moment."""

    @abstractmethod
    def translated(self, error: Exception) -> Exception:
        """Return the error that a caller gets: StorageFailed for whatever the database or its disk did."""

    @abstractmethod
    def fill(self, connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows into an empty table, in a transaction."""

    @abstractmethod
    def number_on(self, connection: Connection) -> None:
        """Number new rows after those that came with their numbers, in a transaction."""

    @abstractmethod
    def size(self) -> int:
        """Return how many bytes it takes on its disk."""

    @abstractmethod
    def vacuum(self) -> None:
        """Return the space of what was removed to the disk."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Nothing is in use by now."""
