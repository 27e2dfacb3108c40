"""Objects that belong to one process: refused, or left alone, in a forked child.

Threads do not cross a fork, so handing them work in a child would wait for ever; and a lock, a connection or a file
that both processes hold belongs to neither. So objects that hold such things check that they are in the process that
made them.
"""

from __future__ import annotations

import os
import weakref
from typing import IO, Any

from bbquery.errors import UsageError

_FILES: weakref.WeakSet[IO[Any]] = weakref.WeakSet()


def close_in_children(file: IO[Any]) -> None:
    """Close a file that holds a lock in every child forked from now on.

    A lock lasts as long as any process has its file open: a child that lives on would keep the lock of a dead parent.
    """
    _FILES.add(file)


def _close_files() -> None:
    for file in list(_FILES):
        file.close()
    _FILES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_files)


class OneProcess:
    """The process in which something was made."""

    def __init__(self, what: str) -> None:
        """Note where `what`, such as "the ledger", is made: here."""
        self._what, self._made_in = what, os.getpid()

    @property
    def left(self) -> bool:
        """Whether this is another process: a child, forked since."""
        return os.getpid() != self._made_in

    def check(self) -> None:
        """Check that this is still the process.

        Raises:
            UsageError: it is a forked child; says what to do.
        """
        if self.left:
            raise UsageError(
                f"{self._what} was opened in process {self._made_in} and cannot be used in process {os.getpid()}, which"
                " was forked from it: open it in the child, after the fork, or start the child with"
                " multiprocessing.get_context('spawn')"
            )
