"""Folders for ledger, store and caches: `BBQUERY_HOME`, or the platform's user folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from bbquery.errors import UsageError


def data_dir() -> Path:
    """Return the folder of what must be kept (ledger and answer store), made if absent.

    Raises:
        UsageError: it cannot be made.
    """
    home = os.environ.get("BBQUERY_HOME")
    return _made(Path(home) if home else Path(platformdirs.user_data_dir("bbquery", appauthor=False)))


def cache_dir(name: str) -> Path:
    """Return the folder of what can be made again, for one user of it, made if absent.

    Raises:
        UsageError: it cannot be made.
    """
    home = os.environ.get("BBQUERY_HOME")
    root = Path(home) / "cache" if home else Path(platformdirs.user_cache_dir("bbquery", appauthor=False))
    return _made(root / name)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {folder} ({error.strerror}): set BBQUERY_HOME to one that can be written"
        ) from error
    return folder
