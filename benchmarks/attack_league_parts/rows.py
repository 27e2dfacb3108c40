"""Measurements: one line of JSON a run of an attack, appended as it ends.

The file is only ever appended to, each row in one write: two leagues may write it side by side, and a killed one goes
on where it stopped. Of rows with the same key the last one counts.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .sources import digest_of


class Key(NamedTuple):
    """What a run is of."""

    network: str
    answers: str
    photo: str
    attack: str
    budget: int
    seed: int


@dataclass(frozen=True)
class Row:
    """One attack on one photo.

    attack: its specification. queries: that it asked, at most `budget`. marks: by queries asked the nearest adversarial
    image's RMSE under each criterion, and the smallest L∞; None: nothing found. thinking: seconds of a processor beside
    the network. source: digest of its source. versions: of what it ran with.
    """

    network: str
    answers: str
    photo: str
    attack: str
    budget: int
    seed: int
    queries: int
    marks: dict[str, dict[str, float | None]]
    thinking: float
    source: str
    versions: dict[str, str]

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return Key(self.network, self.answers, self.photo, self.attack, self.budget, self.seed)

    @property
    def is_current(self) -> bool:
        """Whether the attack is still the one that was measured."""
        return self.source == digest_of(self.attack)

    def at(self, mark: int, measure: str) -> float:
        """Return a distance at a mark; infinite where nothing was found."""
        value = self.marks[str(mark)][measure]
        return math.inf if value is None else value


class Results:
    """The rows of a file, by key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Key, Row] = {}
        self._by_run: dict[Key, dict[int, Row]] = defaultdict(dict)
        for row in map(_row, _lines(path)):
            if row is not None:
                self._keep(row)

    def add(self, row: Row) -> None:
        """Keep a row, on the disk as well."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in {b"", b"\n"}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self._keep(row)

    def has(self, key: Key, *, anytime: bool) -> bool:
        """Whether a run was measured, of the attack as it is now. anytime: one of more queries will do."""
        measured = self._by_run.get(key._replace(budget=0), {}).values()
        return any(
            row.is_current and (row.budget == key.budget or (anytime and row.budget > key.budget)) for row in measured
        )

    def _keep(self, row: Row) -> None:
        self.rows[row.key] = row
        self._by_run[row.key._replace(budget=0)][row.budget] = row


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _row(line: str) -> Row | None:
    """Return the row of a line; None, with a note, for one that a kill cut off."""
    try:
        fields: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        print(f"a row that was cut off is left out: {line[:60]}…")
        return None
    return Row(**fields)
