"""A ledger opened to read and correct accounts; nothing is sent from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from bbquery.errors import StorageFailed, described
from bbquery.ledger import places
from bbquery.ledger.database import Database
from bbquery.ledger.ledger import Ledger

if TYPE_CHECKING:
    from typing import Self

    from bbquery.ledger.connection import Connection, Values
    from bbquery.ledger.places import Place

T = TypeVar("T")


class Accounts:
    """A ledger, open for functions of a connection: those of `reports`, `reconcile` and `store_files`.

    A context manager. Runs that send meanwhile are not disturbed: readers see one moment, and writers take turns.
    name: what people call it. path: where this machine keeps files that belong to it.
    """

    def __init__(self, place: Place | None = None) -> None:
        """Open a ledger, as `Ledger` does.

        Raises:
            StorageFailed: it cannot be used. UsageError: that is no place.
        """
        place = places.chosen(place)
        Ledger(place).close()  # what dead processes left in flight is unknown from now on
        engine = places.opened(place)
        self.name, self.path = engine.name, engine.path
        self._database = Database(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads; all it sees is of one moment."""
        try:
            return self._database.read_at_one_moment(work)
        except (ValueError, TypeError, RecursionError) as error:
            message = f"the ledger {self.name} holds something that cannot be read ({described(error)})"
            raise StorageFailed(f"{message}: 'bbquery store verify' names what is damaged of the answers") from error

    def owners(self) -> int:
        """Return how many processes have the ledger open to send."""
        me = self._database.engine.owner()
        try:
            return me.others()
        finally:
            me.close()

    def fill(self, connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows into an empty table, in the transaction of `write`."""
        self._database.engine.fill(connection, table, columns, rows)

    def number_on(self, connection: Connection) -> None:
        """Number new rows after those that came with their numbers, in the transaction of `write`."""
        self._database.engine.number_on(connection)

    def size(self) -> int:
        """Return how many bytes the ledger takes on its disk, the answers among them."""
        return self._database.engine.size()

    def vacuum(self) -> None:
        """Return the space of pruned answers to the disk.

        Raises:
            StorageFailed: another process uses the ledger, or the disk is full.
        """
        self._database.engine.vacuum()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction: all of it is done, or, if it raises, nothing.

        Raises:
            StorageFailed: the ledger or its disk failed meanwhile. What `work` raises on purpose passes as it is.
        """
        return self._database.write(work).result()
