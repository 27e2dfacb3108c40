"""The ledger's file opened to read and correct accounts; nothing is sent from here."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bbquery.errors import StorageFailed, described
from bbquery.ledger.database import Database
from bbquery.ledger.sqlite import Ledger

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

T = TypeVar("T")


class Accounts:
    """The ledger's file, open for functions of a connection: those of `reports`, `reconcile` and `store_files`.

    A context manager. Runs that send meanwhile are not disturbed: readers see one moment, and writers take turns.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the ledger at `path` (default: in bbquery's data folder), made if absent.

        Raises:
            StorageFailed: the file cannot be used.
        """
        with Ledger(path) as ledger:  # what dead processes left in flight is unknown from now on
            self.path = ledger.path
        self._database = Database(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads; all it sees is of one moment."""

        def at_one_moment(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(connection)
            except (ValueError, TypeError, RecursionError) as error:
                message = f"the ledger {self.path} holds something that cannot be read ({described(error)})"
                raise StorageFailed(
                    f"{message}: 'bbquery store verify' names what is damaged of the answers"
                ) from error
            finally:
                connection.execute("ROLLBACK")

        return self._database.read(at_one_moment)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction: all of it is done, or, if it raises, nothing.

        Raises:
            StorageFailed: the file or its disk failed meanwhile. What `work` raises on purpose passes as it is.
        """
        return self._database.write(work).result()
