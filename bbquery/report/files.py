"""Output files: proved writable before a query is paid for, and written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from bbquery.errors import UsageError


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Make `folder` with its parents where absent, prove that a file can be written in it, and return it.

    Raises:
        UsageError: it is a file, cannot be made, or nothing can be written in it.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = _sibling(path / "probe")
        try:
            probe.write_bytes(b"probe")
        finally:
            probe.unlink(missing_ok=True)
    except FileExistsError as error:
        raise UsageError(f"cannot write in {path}: it is a file, not a folder; choose another output folder") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write in {path} ({_why(error)}): choose another output folder") from error
    return path


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all: into a new file beside it, then renamed over it. Its folder must exist.

    Raises:
        UsageError: it cannot be written; what was there before is still there.
    """
    target = Path(path)
    try:
        part = _sibling(target)
        try:
            _write_through(part, data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)  # there only where something failed
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {target} ({_why(error)}): free or choose another place") from error


def _sibling(path: Path) -> Path:
    """Return an unused name in the same folder, so that renaming stays within one file system."""
    return path.with_name(f".bbquery-{secrets.token_hex(8)}.part")


def _write_through(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # or a crash after the renaming could leave an empty file


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
