"""`--log FILE`: a run's log records, appended to a file as JSON lines."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from bbquery import telemetry


@contextlib.contextmanager
def logged(path: Path | None) -> Iterator[None]:
    """Append the run's log records to a file, where one is given."""
    if path is None:
        yield
        return
    handler = telemetry.JsonLines(path)
    before = telemetry.LOGGER.level
    telemetry.LOGGER.setLevel(logging.DEBUG)
    telemetry.LOGGER.addHandler(handler)
    try:
        yield
    finally:
        telemetry.LOGGER.removeHandler(handler)
        telemetry.LOGGER.setLevel(before)
        handler.close()
        if handler.failed is not None:
            why = f"the log {path} could not be written in full ({handler.failed.strerror}); the run went on without it"
            print(f"bbquery: {why}", file=sys.stderr)
