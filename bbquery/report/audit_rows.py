"""Rows of an audit for spreadsheets and for programs: rows.csv, a line a photo on an oracle, and rows.jsonl, all of it.

A cell that a spreadsheet would take for a formula begins with an apostrophe: labels, answers and names of files are
from outside.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from bbquery.money import dollars
from bbquery.shown import cell, shown

if TYPE_CHECKING:
    from bbquery.jobs.audit.row import Row
    from bbquery.report.files import Write

COLUMNS: dict[str, Callable[[Row], object]] = {
    "oracle": lambda row: row.oracle,
    "photo": lambda row: row.photo,
    "source": lambda row: row.source,
    "status": lambda row: row.status,
    "why": lambda row: row.why,
    "label": lambda row: row.label,
    "right": lambda row: row.right,
    "first": lambda row: row.first,
    "first_value": lambda row: row.first_value,
    "nothing": lambda row: row.nothing,
    "repeats": lambda row: row.repeats,
    "flips": lambda row: row.flips,
    "fidelity": lambda row: row.fidelity,
    "enough": lambda row: _first(m.enough for m in row.maps),
    "breaks": lambda row: _first(m.breaks for m in row.maps),
    "stamps": lambda row: "; ".join(m.stamp for m in row.maps if m.stamp),
    "verdicts": lambda row: " ".join(m.verdict for m in row.maps),
    "outcomes": lambda row: "; ".join(f"{a.attack}: {a.outcome}" for a in row.attacks),
    "rmse": lambda row: min((a.rmse for a in row.attacks if a.rmse is not None), default=None),
    "linf": lambda row: min((a.linf for a in row.attacks if a.linf is not None), default=None),
    "became": lambda row: _first(a.became for a in row.attacks if a.rmse is not None),
    "asked": lambda row: row.asked,
    "unanswered": lambda row: row.unanswered,
    "drifted": lambda row: row.changed,
    "queries": lambda row: row.posted.queries,
    "tokens": lambda row: row.posted.tokens,
    "usd": lambda row: dollars(row.posted.picodollars),
    "queries_held": lambda row: row.held.queries,
    "usd_held": lambda row: dollars(row.held.picodollars),
    "unknown": lambda row: row.unknown,
    "seconds": lambda row: round(row.seconds, 3),
    "folder": lambda row: row.folder,
}
"""Columns of the table, each a function of a row. What is not known is an empty cell."""


def write_csv(rows: Iterable[Row], write: Write) -> None:
    """Write a table of rows, one at a time."""
    write(_line(COLUMNS))
    for row in rows:
        write(_line(_cell(value(row)) for value in COLUMNS.values()))


def write_jsonl(rows: Iterable[Row], write: Write) -> None:
    """Write each row as a line of JSON, with all that it holds."""
    for row in rows:
        write(msgspec.json.encode(row) + b"\n")


def _line(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode(errors="backslashreplace")


def _cell(value: object) -> str:
    """Return a cell: numbers as they are, words safe to show and no formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return str(value)
    return cell(shown(value))


def _first(values: Iterable[object]) -> object:
    return next((value for value in values if value is not None), None)
