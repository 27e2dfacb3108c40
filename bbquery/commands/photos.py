"""Photos as a person names them: files, samples, and folders of files; and the labels that they are said to have."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.images import folders, samples

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = ("path", "label")


def expanded(named: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the photos that are named, those of folders by name, and the other files in those folders.

    Hidden files, and folders in folders, are passed over.

    Raises:
        UsageError: a folder without a photo, or one that cannot be read.
    """
    photos, others = list[str](), list[str]()
    for name in named:
        if name.startswith(samples.PREFIX) or not Path(name).is_dir():
            photos.append(name)
            continue
        photos += map(str, folders.photos(Path(name)))
        others += [str(file) for file in folders.files(Path(name)) if not folders.is_photo(file)]
    return photos, others


def without(files: Sequence[str], table: str | None) -> list[str]:
    """Return files, but not the table of labels, which is read: it may lie in the folder of the photos."""
    return [file for file in files if table is None or _same(file) != _same(table)]


def labels_of(photos: Sequence[str], table: str) -> list[str]:
    """Return the label of each photo, from a CSV file of path,label, whose paths are as from its own folder.

    Raises:
        UsageError: the file cannot be read, or has no label for a photo, or two.
    """
    folder = Path(table).parent
    found: dict[str, str] = {}
    for path, label in _table(table):
        if not label:
            raise UsageError(f"{table} has no label for {path}: give one, or leave the line out with its photo")
        other = found.setdefault(_same(path if path.startswith(samples.PREFIX) else str(folder / path)), label)
        if other != label:
            raise UsageError(f"{table} has two labels for {path}, {other!r} and {label!r}: leave one of them")
    missing = [photo for photo in photos if _same(photo) not in found]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"{table} has no label for {missing[0]}{more}: add a line of path,label for each")
    return [found[_same(photo)] for photo in photos]


def _table(table: str) -> list[tuple[str, str]]:
    try:
        with Path(table).open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeError, csv.Error) as error:
        raise UsageError(f"cannot read {table} ({getattr(error, 'strerror', None) or error})") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line]
        if number == 1 and tuple(cell.lower() for cell in cells) == HEADER:
            continue
        if len(cells) != len(HEADER):
            raise UsageError(f"{table}, line {number}: {','.join(line)!r} is not path,label; quote what holds a comma")
        rows.append((cells[0], cells[1]))
    return rows


def _same(path: str) -> str:
    """Return one name for all names of a file."""
    return path if path.startswith(samples.PREFIX) else os.path.realpath(path)
