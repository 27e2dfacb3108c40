"""Cache of converted models, in a folder that several processes may share.

A file is named by its key and by the hash of its content, so that one look tells whether it is whole: a stale, cut or
damaged file is never used. It appears under its name only when it is complete (written beside, then renamed), so any
number of processes may make it at once; the last one wins, with the same content.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from oracles._shared.digest import digest

if TYPE_CHECKING:
    from collections.abc import Callable


def cached(folder: Path, key: str, build: Callable[[], bytes]) -> bytes:
    """Return the bytes that `build` makes for `key`, from `folder` if a whole copy of them is there.

    A folder that cannot be read or written costs the time to build again, nothing else.
    """
    for path in sorted(folder.glob(f"{key}-*.onnx")):
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if path.name == f"{key}-{digest(data)}.onnx":
                return data
    data = build()
    with contextlib.suppress(OSError):
        _write(folder / f"{key}-{digest(data)}.onnx", data)
    return data


def _write(path: Path, data: bytes) -> None:
    """Write a file so that nobody sees it before it is complete."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
