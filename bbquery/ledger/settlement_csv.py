"""CSV files that settle unknowns: a user's verdicts on attempts, or a vendor's usage report. See `COLUMNS`."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from bbquery import money
from bbquery.errors import UsageError
from bbquery.ledger import reports
from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.statements import UNITS
from bbquery.ledger.usage import Usage
from bbquery.system import user_file
from bbquery.units import Units

T = TypeVar("T")
Row: TypeAlias = Mapping[str, str]

EXPORTED = (
    "attempt", "key", "budget", "oracle", "fingerprint", "model", "state", "reason", "hold_queries", "hold_tokens",
    "hold_usd", "cost_queries", "cost_tokens", "cost_usd", "opened", "closed",
)  # fmt: skip
VERDICT_COLUMNS = ("attempt", "key", "outcome", "queries", "tokens", "usd")
SYNONYMS = {
    "date": "day",
    "start_time": "start",
    "end_time": "end",
    "requests": "queries",
    "num_model_requests": "queries",
}
COLUMNS = """\
Verdicts: one row an attempt, with a header of these columns.

    attempt     its number; or key, its key in hex digits
    outcome     posted or voided
    queries, tokens, usd    what a posted one cost; what is left empty, or out, cost what was held

The other columns of `bbquery budget export` may stay in and are not read.

A vendor's report: one row for each model and day (or window of time), as it is exported or brought into these columns.

    day         2026-04-13, in UTC; or start and end (start_time, end_time): times with a date, or Unix seconds
    model       as the vendor, or `bbquery budget show --by model`, names it; a snapshot's date does not matter
    queries     or requests, num_model_requests
    tokens      or input_tokens and output_tokens
    usd         exact dollars
    server      such as 127.0.0.1:8000: the row counts what was asked there, and nothing else. With it the model may be
                left out. So a server to rehearse with reports: `bbquery serve` says where.

At least one of queries, tokens and usd; columns of other names are not read. Rows of the same model and window are
summed.
"""
LARGEST_COUNT = 10**15  # queries or tokens; sums of more would not fit into a ledger
DIGITS_OF_UNIX_SECONDS = 9  # at least; a date such as 20260413 has 8


def read(path: Path) -> tuple[list[Verdict], list[Usage]]:
    """Read verdicts or a report, whichever the header says; the other is empty. A file with any fault is refused.

    Raises:
        UsageError: the file cannot be read or is malformed; names the line.
    """
    try:
        text = user_file.contents(path, "the CSV file", most=user_file.LARGEST_TEXT).decode("utf-8-sig")
        return _read(path, csv.reader(io.StringIO(text, newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a CSV file in UTF-8: {error}; nothing was settled") from error


def _read(path: Path, reader: Iterator[list[str]]) -> tuple[list[Verdict], list[Usage]]:
    header = [name.strip().lower() for name in next(reader, [])]
    if "outcome" in header:
        _check_columns(path, header, (*VERDICT_COLUMNS, *EXPORTED))
        return _unrepeated(path, list(_rows(path, reader, header, _verdict))), []
    header = [SYNONYMS.get(name, name) for name in header]
    _check_report(path, header)
    return [], [usage for _, usage in _rows(path, reader, header, _usage) if usage is not None]


def _rows(
    path: Path, reader: Iterator[list[str]], header: list[str], parse: Callable[[Row], T]
) -> Iterator[tuple[int, T]]:
    """Yield what `parse` makes of each row, with its line; a fault names the line."""
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined] # a csv.reader has it, its type in the library does not
        if not any(cell.strip() for cell in cells):
            continue
        try:
            yield line, parse(_named(header, cells))
        except UsageError as error:
            raise UsageError(f"{path}, line {line}: {error}; nothing was settled") from error


def _named(header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise UsageError(f"{len(cells)} cells for {len(header)} columns")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _check_columns(path: Path, header: list[str], known: tuple[str, ...]) -> None:
    unknown = [name for name in header if name not in known]
    if unknown or len(set(header)) < len(header):
        fault = f"unknown column {unknown[0]!r}" if unknown else "a column twice"
        raise UsageError(f"{path} has {fault}; the columns of verdicts are {', '.join(VERDICT_COLUMNS)}")
    if not {"attempt", "key"} & set(header):
        raise UsageError(f"{path} does not say which attempt: it needs a column 'attempt', or 'key'")


def _check_report(path: Path, header: list[str]) -> None:
    timed = "day" in header or {"start", "end"} <= set(header)
    counted = {"queries", "tokens", "usd"} & set(header) or {"input_tokens", "output_tokens"} <= set(header)
    if not (timed and {"model", "server"} & set(header) and counted):
        raise UsageError(
            f"{path} has neither the columns of verdicts (attempt, outcome; and queries, tokens, usd) nor those of a "
            f"vendor's report (day, model; and queries, tokens or usd): its header is {','.join(header)[:200]!r}"
        )
    twice = [name for name in (*VERDICT_COLUMNS, "day", "start", "end", "model", "server") if header.count(name) > 1]
    if twice:
        raise UsageError(f"{path} has the column {twice[0]!r} twice, perhaps under another of its names")


def _unrepeated(path: Path, verdicts: list[tuple[int, Verdict]]) -> list[Verdict]:
    lines: dict[int | bytes, int] = {}
    for line, verdict in verdicts:
        first = lines.setdefault(verdict.attempt, line)
        if first != line:
            raise UsageError(f"{path}, line {line}: the attempt of line {first} again; nothing was settled")
    return [verdict for _, verdict in verdicts]


def _verdict(row: Row) -> Verdict:
    outcome = row["outcome"].lower()
    if outcome not in ("posted", "voided"):
        raise UsageError(f"the outcome is {row['outcome']!r}, which is neither posted nor voided")
    number = row.get("attempt")
    attempt = _count(number, "an attempt's number") if number else _key(row.get("key", ""))
    costs = {unit: _amount(row, unit) for unit in UNITS}
    return Verdict(attempt, "posted" if outcome == "posted" else "voided", **costs)


def _usage(row: Row) -> Usage | None:
    """Return what a row reports; None for one without a model and amounts, as vendors write for idle days."""
    tokens = [name for name in ("tokens", "input_tokens", "output_tokens") if name in row]
    model, server = row.get("model", ""), reports.server_of(row.get("server", ""))
    if not model and not server:
        if not any(row[name] for name in (*tokens, "queries", "usd") if name in row):
            return None
        raise UsageError("usage of no model: have the vendor's report grouped by model")
    start, end = _window(row)
    counted = {
        "queries": "queries" in row,
        "tokens": "tokens" in row or len(tokens) == 2,
        "picodollars": "usd" in row,
    }
    parts = ["tokens"] if "tokens" in row else tokens
    summed = sum(_count(row[name] or "0", name) for name in parts) if counted["tokens"] else 0
    amount = Units(_amount(row, "queries") or 0, summed, _amount(row, "picodollars") or 0)
    return Usage(model, start, end, amount, tuple(unit for unit in UNITS if counted[unit]), server)


def _window(row: Row) -> tuple[datetime.datetime, datetime.datetime]:
    if row.get("day"):
        start = _time(row["day"])
        if start.time() != datetime.time():
            raise UsageError(f"the day {row['day']!r} has a time: name its columns start and end")
        return start, start + datetime.timedelta(days=1)
    start, end = _time(row.get("start", "")), _time(row.get("end", ""))
    if end <= start:
        raise UsageError(f"the window ends at {row['end']}, not after its start at {row['start']}")
    return start, end


def _time(text: str) -> datetime.datetime:
    """Return a time in UTC, which it is taken to be where it does not say."""
    try:
        if text.isdecimal() and len(text) >= DIGITS_OF_UNIX_SECONDS:
            return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
        time = datetime.datetime.fromisoformat(text.removesuffix(" UTC"))  # as BigQuery writes it
        utc = time.astimezone(datetime.UTC) if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{text!r} is not a day such as 2026-04-13, nor a time") from None
    return utc


def _amount(row: Row, unit: str) -> int | None:
    """Return an amount of a unit, None where its cell is empty or its column is not there."""
    if unit == "picodollars":
        return money.picodollars(row["usd"]) if row.get("usd") else None
    return _count(row[unit], unit) if row.get(unit) else None


def _count(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(LARGEST_COUNT)):
        raise UsageError(f"{what} is {text[:80]!r}, which is not a whole number of at least 0")
    return int(text)


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if not key:
        raise UsageError(f"no attempt: {text[:80]!r} is not a key in hex digits, and there is no number")
    return key
