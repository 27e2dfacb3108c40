"""Table of photos: a CSV file with the columns photo, label and box, read line by line."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bbquery.errors import UsageError, did_you_mean
from bbquery.metrics import Box

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("photo", "label", "box")
MOST_BYTES = 200_000_000  # of a file
MOST_ROWS = 1_000_000
LONGEST = 4_000  # characters of a cell, as long as a path may be
BOX = re.compile(r"\s*(\d{1,9})[ ,]\s*(\d{1,9})[ ,]\s*(\d{1,9})[ ,]\s*(\d{1,9})\s*")

Note: TypeAlias = "Callable[[str], None]"
"""Notes what is wrong with a line, which is then left out."""


class TableRow(NamedTuple):
    """A photo in a table. line: from 1 on. label: None where the table has none. boxes: in pixels of the photo."""

    line: int
    photo: str
    label: str | None
    boxes: tuple[Box, ...]


def rows(path: Path, note: Note) -> Iterator[TableRow]:
    """Give the photos of a table, in its order; lines that are empty are passed over.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path.name} is larger than {MOST_BYTES:,} bytes: divide it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(csv.reader(file, strict=True), path.name, note)
    except OSError as error:
        raise UsageError(f"cannot read {path.name} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not UTF-8: save it as that") from error


def _rows(lines: Reader, file: str, note: Note) -> Iterator[TableRow]:
    try:
        header = _header(next(lines, []))
        for cells in itertools.islice(lines, MOST_ROWS):
            if any(map(str.strip, cells)):
                try:
                    yield _row(lines.line_num, header, cells)
                except UsageError as error:
                    note(f"{file}:{lines.line_num}: {error}")
        if next(lines, None) is not None:
            note(f"{file}: it has more than {MOST_ROWS:,} rows: divide it")
    except (UsageError, csv.Error) as error:
        note(f"{file}:{max(lines.line_num, 1)}: {error}")


def _header(cells: list[str]) -> list[str]:
    """Return the names of the columns.

    Raises:
        UsageError: one is unknown, there twice, or missing.
    """
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in COLUMNS:
            known = did_you_mean(name, COLUMNS) or f"; known: {', '.join(COLUMNS)}"
            raise UsageError(f"the first line names the columns, and none is called {name[:40]!r}{known}")
    if len(set(names)) < len(names):
        raise UsageError("two columns have one name")
    if "photo" not in names:
        raise UsageError("the first line names the columns, and there is none for photo")
    return names


def _row(line: int, header: list[str], found: list[str]) -> TableRow:
    if len(found) != len(header):
        raise UsageError(f"{len(found)} cells for {len(header)} columns: quote what holds a comma")
    cells = dict(zip(header, map(str.strip, found), strict=True))
    longest = max(cells, key=lambda column: len(cells[column]))
    if len(cells[longest]) > LONGEST:
        raise UsageError(f"{longest} has {len(cells[longest]):,} characters; at most {LONGEST:,} are taken")
    if not cells["photo"]:
        raise UsageError("no photo is named")
    boxes = tuple(_box(text) for text in cells.get("box", "").split(";") if text.strip())
    return TableRow(line, cells["photo"], cells.get("label") or None, boxes)


def _box(text: str) -> Box:
    found = BOX.fullmatch(text)
    box = None if found is None else Box(*map(int, found.groups()))
    if box is None or not box.width or not box.height:
        raise UsageError(f"{text.strip()[:40]!r} is no box: write x,y,width,height in pixels, several with ';' between")
    return box
