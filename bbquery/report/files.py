"""Output files: proved writable before a query is paid for, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from bbquery.errors import BbqueryError, NotWritten, UsageError
from bbquery.system.disk import remedy

Write: TypeAlias = Callable[[bytes], None]


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
    """Write a file whole or not at all; see `whole_file`."""
    with whole_file(path) as write:
        write(data)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Write]:
    """Open a file that appears, in place of what was there, only when all was written; give a function that writes.

    It is written beside its place, in a folder that must exist, and renamed.

    Raises:
        UsageError: it cannot be opened. NotWritten: it can, but not be written, as on a full disk; what was there
            before is still there.
    """
    named = Path(path)
    with _blamed(named, UsageError):
        target = Path(os.path.realpath(path))  # a link stays one
        with contextlib.suppress(FileNotFoundError):
            mode = named.stat().st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            if not stat.S_ISREG(mode):  # renaming would put a file in the place of /dev/null, for all programs
                raise OSError(errno.EINVAL, "it is a pipe or a device, give a file")
        part = _sibling(target)
        file = part.open("xb")
    try:
        try:
            yield lambda data: _write(named, file, data)
            with _blamed(named, NotWritten):
                file.flush()
                os.fsync(file.fileno())  # or a crash after the renaming could leave an empty file
        finally:
            with _blamed(named, NotWritten):  # which writes what is left
                file.close()
        with _blamed(named, NotWritten):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)  # there only where something failed


@contextlib.contextmanager
def _blamed(path: Path, kind: type[BbqueryError]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path such as "." names no file
        to_do = remedy(getattr(error, "errno", None)) or ": free it"
        raise kind(f"cannot write {path} ({_why(error)}){to_do}, or choose another place") from error


def _write(path: Path, file: BinaryIO, data: bytes) -> None:
    with _blamed(path, NotWritten):
        file.write(data)


def _sibling(path: Path) -> Path:
    """Return an unused name in the same folder, so that renaming stays within one file system."""
    return path.with_name(f".bbquery-{secrets.token_hex(8)}.part")


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
