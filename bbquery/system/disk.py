"""Why a disk refuses what is written, and what a person can do about it."""

from __future__ import annotations

import errno
import shutil
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FULL: Final = 1 << 20  # bytes free, below which a disk counts as full: a commit may take as much
NEXT_WRITE: Final = 1 << 16  # bytes: a file that comes so near to a limit has reached it
PERMISSIONS: Final = "you may not write there: change its permissions or its owner"
REMEDIES: Final = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "your quota of the disk is used up: free some space",
    errno.EFBIG: "a file has reached the limit on the size of files: raise it (ulimit -f)",
    errno.EROFS: "the disk can only be read: make it writable",
    errno.EACCES: PERMISSIONS,
    errno.EPERM: PERMISSIONS,
    errno.EIO: "the disk refuses to write: look into the system's log, and whether a quota is used up",
}


def remedy(code: int | None, files: Sequence[Path] = ()) -> str:
    """Return why the operating system refuses, by the number of its error, and what to do, after ": "; "" if unknown.

    files: that grow; looked at where the number says no more than that writing failed.
    """
    if code == errno.EIO:
        code = _closer([file for file in files if file.exists()])
    return f": {REMEDIES[code]}" if code in REMEDIES else ""


def _closer(files: Sequence[Path]) -> int:
    """Return the number of what keeps these files from growing."""
    if any(shutil.disk_usage(file).free < FULL for file in files):
        return errno.ENOSPC
    limit = _largest_file()
    if limit is not None and any(file.stat().st_size + NEXT_WRITE > limit for file in files):
        return errno.EFBIG
    return errno.EIO


def _largest_file() -> int | None:
    """Return the limit on the size of a file that this process writes, in bytes; None where there is none."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - Windows has none

    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
