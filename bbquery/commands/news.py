"""News for a person whose command waits: a ledger's server or a cluster is out of reach, and is back."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from bbquery.commands.output import warn
from bbquery.jobs.audit import cluster
from bbquery.ledger import engine
from bbquery.telemetry import LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = {
    engine.LOST: (
        "the ledger {ledger} is out of reach ({reason}): nothing new is sent until it is back, and what was answered"
        " is recorded then"
    ),
    engine.FOUND: "the ledger {ledger} is back",
    cluster.LOST: (
        "the Dask scheduler at {cluster} is out of reach ({reason}): photos at work are asked again once it is back,"
        " and pay only what has no answer"
    ),
    cluster.FOUND: "the Dask scheduler at {cluster} is back",
    cluster.DESERTED: "the Dask cluster at {cluster} has no workers: the audit goes on once 'dask worker' is started",
    cluster.MANNED: "the Dask cluster at {cluster} has workers again",
}
"""A line for each event of the log."""


class News(logging.Handler):
    """Prints a line for each event that a person waits for."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line of an event, if it has one."""
        line = LINES.get(getattr(record, "event", ""))
        if line is not None:
            warn(line.format(**getattr(record, "fields", {})))


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell a person the news as long as this lasts."""
    handler = News()
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
