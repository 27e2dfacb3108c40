"""Files of batches and the lock of a run's batches, in a private folder beside the ledger.

A file holds the images that are asked about, so nobody else may read it, and it goes when its batch is collected.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import portalocker

from bbquery.errors import StorageFailed
from bbquery.system.disk import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

OWNER_ONLY_FOLDER, OWNER_ONLY_FILE = 0o700, 0o600
ENDING = ".jsonl"


class Folder:
    """The folder of batches of one ledger."""

    def __init__(self, ledger: Path) -> None:
        """Make it, beside the ledger's file.

        Raises:
            StorageFailed: it cannot be made.
        """
        self.path = ledger.with_name(ledger.name + ".batches")
        with _storage_errors(self.path):
            self.path.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)

    def file(self, batch: str) -> Path:
        """Return where the lines of the batch of this name are."""
        return self.path / (batch + ENDING)

    def readable(self, batch: str) -> Path:
        """Return where the lines of the batch of this name are, having seen that they can be read.

        Raises:
            StorageFailed: they cannot.
        """
        with _storage_errors(self.file(batch)), self.file(batch).open("rb"):
            return self.file(batch)

    def create(self, batch: str) -> IO[bytes]:
        """Open the file of a new batch, readable by its owner only.

        Raises:
            StorageFailed: the disk failed.
        """
        path = self.file(batch)
        with _storage_errors(path):
            return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY_FILE), "wb")

    def append(self, file: IO[bytes], lines: Sequence[bytes]) -> None:
        """Write lines, each with its end.

        Raises:
            StorageFailed: the disk failed.
        """
        with _storage_errors(self.path):
            file.writelines(lines)

    def finish(self, file: IO[bytes]) -> None:
        """Close a file once it is on the disk to stay, and its name in the folder too.

        Raises:
            StorageFailed: the disk failed.
        """
        with _storage_errors(self.path), file:
            file.flush()
            os.fsync(file.fileno())
            if os.name == "posix":  # elsewhere a folder cannot be opened
                folder = os.open(self.path, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def remove(self, batch: str) -> None:
        """Delete the lines of a batch; none is no matter."""
        with _storage_errors(self.path):
            self.file(batch).unlink(missing_ok=True)

    def batches(self) -> list[str]:
        """Return the names of all batches that have a file."""
        with _storage_errors(self.path):
            return sorted(path.name.removesuffix(ENDING) for path in self.path.glob("*" + ENDING))

    @contextlib.contextmanager
    def locked(self, budget: int) -> Iterator[bool]:
        """Hold the lock on a budget's batches, unless another process has it; give whether we do.

        The operating system frees it when a process ends, however it ends.
        """
        with _storage_errors(self.path):
            file = (self.path / f"{budget}.lock").open("w")
        with file:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            except portalocker.LockException:
                yield False
            else:
                yield True


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = remedy(error.errno)
        raise StorageFailed(f"cannot use the files of batches in {path}: {error.strerror or error}{why}") from error
