"""Let a Dask worker die of one photo, as of one that is too large for its memory: a module that it loads first."""

from __future__ import annotations

import hashlib
import os
import signal
from typing import TYPE_CHECKING, Any

from bbquery.images import reading

if TYPE_CHECKING:
    from pathlib import Path

OF = "BBQUERY_TEST_DEADLY"
"""In a worker's environment: the hash of the photo's file."""


def environment(photo: Path) -> dict[str, str]:
    """Return what a worker's environment must hold for it to die of this photo."""
    return {OF: hashlib.sha256(photo.read_bytes()).hexdigest(), "DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{__name__}']"}


def dask_setup(_: Any) -> None:
    """Let the worker die."""
    load = reading.load

    def deadly(source: Any) -> Any:
        if isinstance(source, bytes) and hashlib.sha256(source).hexdigest() == os.environ[OF]:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(source)

    reading.load = deadly
