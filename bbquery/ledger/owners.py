"""Live processes: each process that sends holds a file lock for as long as it lives.

The operating system frees the lock when the process ends, however it ends; a process number says nothing, since
numbers are used again. A batch that is at a vendor owns its attempts too: it is no process, and is never dead, since
only collecting it tells what became of them. On a server, where there is no such lock, see `postgres_owners`.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import IO, TYPE_CHECKING

import portalocker

from bbquery.ledger.engine import Owner
from bbquery.system.forks import OneProcess, close_in_children

if TYPE_CHECKING:
    from pathlib import Path

_BATCH = "batch:"
_ENDING = ".lock"


class LockedOwner(Owner):
    """This process, alive until `close` or its end. folder: of the locks of all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self._folder, self._process = uuid.uuid4().hex, folder, OneProcess("an owner's lock")
        self._path = self._path_of(self.name)
        self._file = self._locked()
        close_in_children(self._file)

    def renew(self) -> None:
        """Do nothing: the lock lasts by itself."""

    def dead(self, names: set[str]) -> set[str]:
        """Return those whose lock is free."""
        return {name for name in names if batch_of(name) is None and self._is_dead(name)}

    def others(self) -> int:
        """Return how many others hold a lock."""
        names = {path.name.removesuffix(_ENDING) for path in self._folder.glob(f"*{_ENDING}")} - {self.name}
        return len(names - self.dead(names))

    def may_have_company(self) -> bool:
        """Whether another process has the ledger open; costs next to nothing while none has."""
        return self.others() > 0

    def close(self) -> None:
        """Release the lock; a forked child leaves it to the process that holds it."""
        if self._process.left:
            return
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _locked(self) -> IO[str]:
        """Return the file of our lock, once we hold it: another process may take a new one for a dead one's."""
        while True:
            file = self._path.open("w")
            with contextlib.suppress(portalocker.AlreadyLocked, FileNotFoundError):
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()

    def _is_dead(self, name: str) -> bool:
        path = self._path_of(name)
        try:
            with path.open("r+") as file:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except FileNotFoundError:
            return True
        except portalocker.LockException:
            return False
        path.unlink(missing_ok=True)
        return True

    def _path_of(self, name: str) -> Path:
        return self._folder / f"{name}{_ENDING}"


def batch_owner(batch: str) -> str:
    """Return the owner that a batch of this name is."""
    return _BATCH + batch


def batch_of(owner: str) -> str | None:
    """Return the name of the batch that an owner is; None where it is a process."""
    return owner.removeprefix(_BATCH) if owner.startswith(_BATCH) else None
