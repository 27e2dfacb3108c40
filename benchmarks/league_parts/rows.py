"""Measurements, one line of JSON a row, appended as it is found: a killed run goes on where it stopped."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

LITE0 = "lite0"
"""The network of rows that name none: they are older than the others."""


class Key(NamedTuple):
    """What tells a row from others."""

    part: str
    subject: str
    method: str
    budget: int
    seed: int
    network: str = LITE0


@dataclass(frozen=True)
class Row:
    """The measures of one method on one subject.

    part: of the league. subject: a photo or a game. budget: queries it was given, the clean image not counted; 0 for
    what asks none. measures: numbers by name. network: that was explained, where there are several.
    """

    part: str
    subject: str
    method: str
    budget: int
    seed: int
    measures: Mapping[str, float]
    network: str = LITE0

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return Key(self.part, self.subject, self.method, self.budget, self.seed, self.network)


class Results:
    """The rows in a file, those found so far and those to come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows = {row.key: row for row in _read(path)}

    def has(self, key: Key) -> bool:
        """Whether this was measured."""
        return key in self.rows

    def add(self, row: Row) -> None:
        """Keep a row, on the disk as well."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        self.rows[row.key] = row

    def forget(self, methods: Iterable[str]) -> None:
        """Drop the rows of these methods, to measure them anew, with whatever answers they were made from."""
        dropped = set(methods)
        self.rows = {key: row for key, row in self.rows.items() if row.method.split(";")[0] not in dropped}
        if dropped and self._path.exists():
            text = "".join(json.dumps(asdict(row)) + "\n" for row in self.rows.values())
            self._path.write_text(text, encoding="utf-8")

    def of(self, part: str, network: str = LITE0) -> list[Row]:
        """Return the rows of a part on a network."""
        return [row for row in self.rows.values() if row.part == part and row.network == network]

    def write_csv(self, path: Path) -> None:
        """Write every measure of every row on a line of its own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("part", "subject", "method", "budget", "seed", "network", "measure", "value"))
            for key, row in sorted(self.rows.items()):
                table.writerows((*key, name, repr(value)) for name, value in sorted(row.measures.items()))


def _read(path: Path) -> list[Row]:
    """Return the rows of a file; a last line without its end was cut off by a kill, and is cut from the file too."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [Row(**json.loads(line)) for line in whole.splitlines()]


Table = dict[tuple[str, int], dict[str, float]]
"""For each (method, budget) one value a subject."""


def table(rows: Iterable[Row], measure: str) -> Table:
    """Return one measure of rows by method and budget, for each subject the mean over its seeds."""
    found: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if measure in row.measures:
            found[row.method, row.budget][row.subject].append(row.measures[measure])
    return {
        entry: {subject: sum(values) / len(values) for subject, values in subjects.items()}
        for entry, subjects in found.items()
    }
