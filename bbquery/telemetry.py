"""Telemetry of a run: structured log records, and OpenTelemetry spans and counters.

Records go to the standard logger "bbquery"; their fields are in the attribute `fields`, and `JsonLines` writes them
one object a line. Spans and counters go to OpenTelemetry where the program that uses bbquery has imported it (the
extra "otel" brings the interface; the program chooses the exporter). Neither ever holds a key, an image or an answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from bbquery.errors import OracleError, UsageError
from bbquery.shown import shown
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from pathlib import Path

    from bbquery.types import Reply

LOGGER = logging.getLogger("bbquery")
LOGGER.addHandler(logging.NullHandler())  # a library is silent until somebody listens


def note(event: str, level: int = logging.INFO, **fields: str | float | None) -> None:
    """Log an event with its fields."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, "%s %s", event, fields, extra={"event": event, "fields": fields})


class JsonLines(logging.FileHandler):
    """Writes the records of "bbquery" into a file, one JSON object a line: time, level, event and its fields.

    A run goes on where its log cannot be written, as on a full disk: `failed` keeps the first error.
    """

    def __init__(self, path: Path) -> None:
        """Open a file to append to.

        Raises:
            UsageError: it is no regular file, or cannot be opened.
        """
        self.failed: OSError | None = None
        try:
            if path.exists() and not path.is_file():  # a pipe might wait for ever
                raise UsageError(f"cannot write the log {path}: it is a folder, a pipe or a device, give a file")
            super().__init__(path, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot write the log {path}: {getattr(error, 'strerror', None) or error}") from error

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Keep the first error of the disk, and write no more; others are the program's."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.failed = self.failed or error
        self.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless that has failed before."""
        if self.failed is None:
            super().emit(record)

    def close(self) -> None:
        """Close the file; what cannot be written by then is lost."""
        try:
            super().close()
        except OSError as error:
            self.failed = self.failed or error

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        fields: dict[str, Any] = getattr(record, "fields", {"message": record.getMessage()})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        head = {"time": stamp, "level": record.levelname, "event": getattr(record, "event", "message")}
        return shown(json.dumps(head | fields, ensure_ascii=False))


class Requests:
    """Tells of every request to one oracle."""

    def __init__(self, oracle: str, provider: str) -> None:
        self._about = {"oracle": oracle, "provider": provider}
        self._otel = OpenTelemetry(self._about) if "opentelemetry" in sys.modules else None
        self._last: OracleError | None = None  # that was reported
        self._repeated = 0  # how often it came again since

    @property
    def listening(self) -> bool:
        """Whether anybody wants to hear of every request, and not of failures alone."""
        return self._otel is not None or LOGGER.isEnabledFor(logging.DEBUG)

    async def request(self, queries: int, outcome: Awaitable[list[Reply | OracleError]]) -> list[Reply | OracleError]:
        """Await how each query of a request ended, and tell of it."""
        began = time.perf_counter()
        if self._otel is None:
            results = await outcome
        else:
            with self._otel.span(queries):
                results = await outcome
                self._otel.count(results, time.perf_counter() - began)
        seconds = round(time.perf_counter() - began, 6)
        note("request", logging.DEBUG, **self._about, queries=queries, seconds=seconds, **outcomes_of(results))
        return results

    def failed(self, errors: Sequence[OracleError]) -> None:
        """Report a failure of a request once; where it comes again, report how often when it ends."""
        for error in {id(e): e for e in errors}.values():
            if self._last is not None and _alike(error, self._last):
                self._repeated += 1
                continue
            self.close()
            self._last = error
            note("failure", logging.WARNING, **self._about, outcome=error.outcome, reason=str(error))

    def close(self) -> None:
        """Tell how often the last failure came again."""
        if self._last is not None and self._repeated:
            outcome, reason, times = self._last.outcome, str(self._last), self._repeated
            note("failure came again", logging.WARNING, **self._about, outcome=outcome, reason=reason, times=times)
        self._last, self._repeated = None, 0


class OpenTelemetry:
    """Spans and counters, named after the conventions of OpenTelemetry."""

    def __init__(self, about: dict[str, str]) -> None:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - optional, and present where this is made

        meter = metrics.get_meter("bbquery")
        self._about = about
        self._tracer = trace.get_tracer("bbquery")
        self._queries = meter.create_counter("bbquery.queries", description="Queries, by outcome")
        self._tokens = meter.create_counter("bbquery.tokens", description="Tokens billed")
        self._dollars = meter.create_counter("bbquery.cost", unit="USD", description="Dollars billed")
        self._seconds = meter.create_histogram("bbquery.request.duration", unit="s", description="Seconds in flight")

    def span(self, queries: int) -> contextlib.AbstractContextManager[Any]:
        """Return a span around a request."""
        return self._tracer.start_as_current_span("bbquery.request", attributes={**self._about, "queries": queries})

    def count(self, results: Sequence[Reply | OracleError], seconds: float) -> None:
        """Count how queries ended and what they cost."""
        self._seconds.record(seconds, self._about)
        for outcome, number in outcomes_of(results).items():
            self._queries.add(number, {**self._about, "outcome": outcome})
        cost = Units()
        for result in results:
            if not isinstance(result, OracleError) and result.cost is not None:
                cost = cost.plus(result.cost)
        self._tokens.add(cost.tokens, self._about)
        self._dollars.add(cost.picodollars / 10**12, self._about)  # a gauge for people; the ledger keeps the books


def _alike(error: OracleError, other: OracleError) -> bool:
    """Whether two errors differ in nothing but numbers: times, counts and the names of requests."""
    same = _words(str(error)) == _words(str(other))
    return same and type(error) is type(other)


def _words(text: str) -> str:
    return re.sub(r"\w*\d[\w.]*", "#", text)


def outcomes_of(results: Sequence[Reply | OracleError]) -> Counter[str]:
    """Return how many results there are of each outcome."""
    return Counter(r.outcome if isinstance(r, OracleError) else "posted" for r in results)
