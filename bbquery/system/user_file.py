"""Reading of files that a person named: one reader for each kind, regular files only, up to a size limit.

A pipe or a device may never end (`/dev/zero`), or never begin; a folder is a typing mistake.
"""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_TEXT = 64_000_000  # bytes; what people write is smaller by far


def check_regular(path: Path, what: str) -> None:
    """Check that a path names a regular file, without opening it, which may wait for ever. what: it is, for messages.

    Raises:
        UsageError: it does not.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, what, error) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"cannot read {what} {str(path)!r}: it is a folder, give a file")
    if not stat.S_ISREG(mode):
        raise UsageError(f"cannot read {what} {str(path)!r}: it is a pipe or a device, copy what it gives into a file")


def opened(path: Path, what: str) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        UsageError: it is no regular file, or cannot be opened.
    """
    check_regular(path, what)
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, what, error) from error


def contents(path: Path, what: str, *, most: int | None = None) -> bytes:
    """Return all of a file. most: bytes that it may have, None for any number.

    Raises:
        UsageError: it cannot be read, or is larger.
    """
    with opened(path, what) as file:
        try:
            found = file.read(-1 if most is None else most + 1)
        except OSError as error:
            raise _unreadable(path, what, error) from error
    if most is not None and len(found) > most:
        raise UsageError(f"cannot read {what} {str(path)!r}: it is larger than {most / 1e6:g} MB")
    return found


def text(path: Path, what: str) -> str:
    """Return the text of a file in UTF-8, without a byte-order mark.

    Raises:
        UsageError: it cannot be read, or is no such text.
    """
    found = contents(path, what, most=LARGEST_TEXT)
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {what} {str(path)!r}: it is no text in UTF-8 ({error})") from error


def parsed_json(path: Path, what: str) -> Any:
    """Return what a JSON file holds.

    Raises:
        UsageError: it cannot be read, or is no JSON.
    """
    return _parsed(path, what, "JSON", json.loads)


def parsed_toml(path: Path, what: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    found: dict[str, Any] = _parsed(path, what, "TOML", lambda read: tomllib.loads(read, parse_float=parse_float))
    return found


def _parsed(path: Path, what: str, kind: str, parse: Callable[[str], Any]) -> Any:
    read = text(path, what)
    try:
        return parse(read)
    except ValueError as error:
        raise UsageError(f"cannot read {what} {str(path)!r}: it is no {kind} ({error})") from error
    except RecursionError as error:
        raise UsageError(f"cannot read {what} {str(path)!r}: it is nested too deeply") from error


def _unreadable(path: Path, what: str, error: OSError | ValueError) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"cannot read {what} {str(path)!r}: {reason}")
