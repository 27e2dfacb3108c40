"""Who is alive: each process that sends holds a file lock for as long as it lives.

The operating system frees the lock when the process ends, however it ends; a process number says nothing, since
numbers are used again.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import portalocker

if TYPE_CHECKING:
    from pathlib import Path


class Owner:
    """This process as one who sends; alive until `close` or the process's end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = uuid.uuid4().hex
        self._path = _path(folder, self.name)
        self._file = self._path.open("w")
        portalocker.lock(self._file, portalocker.LOCK_EX | portalocker.LOCK_NB)

    def close(self) -> None:
        """Be dead from now on."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_dead(folder: Path, name: str) -> bool:
    """Whether the owner of this name no longer runs."""
    path = _path(folder, name)
    try:
        with path.open("r+") as file:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except FileNotFoundError:
        return True
    except portalocker.LockException:
        return False
    path.unlink(missing_ok=True)
    return True


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.lock"
