"""Distances of attacks at marks, and the tables that are made of them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.attack import statistics
from bbquery.jobs.intervals import Estimate, rate
from bbquery.specification import parse

from .players import is_scheduled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .rows import Row

NONE = "–"
STALE = "†"
THRESHOLDS = (0.1, 0.05, 0.01)
ENOUGH = 10  # photos on which an attack must stand to be called the best of all

Distances = dict[str, float]
"""By photo: infinite where nothing was found."""


@dataclass(frozen=True)
class Game:
    """All rows of one network and kind of answer."""

    rows: tuple[Row, ...]

    @property
    def attacks(self) -> list[str]:
        """Specifications of the attacks."""
        return sorted({row.attack for row in self.rows})

    def ranked(self, marks: Sequence[int], measure: str) -> list[str]:
        """Return the attacks by their median at the mark of these at which most of them stand, the nearest first."""
        standing = {mark: [name for name in self.attacks if self.distances(name, mark, measure)] for mark in marks}
        mark = max(marks, key=lambda mark: (len(standing[mark]), -mark))
        medians = {name: self.distances(name, mark, measure) for name in self.attacks}
        return sorted(self.attacks, key=lambda name: (_median(medians[name]), name))

    def distances(self, attack: str, mark: int, measure: str) -> Distances:
        """Return an attack's distances at a mark; of several runs on a photo, that with the fewest queries."""
        found: dict[str, Row] = {}
        for row in self.rows:
            fits = row.budget == mark if is_scheduled(attack) else str(mark) in row.marks
            if row.attack == attack and fits and (row.photo not in found or row.budget < found[row.photo].budget):
                found[row.photo] = row
        return {photo: row.at(mark, measure) for photo, row in found.items()}

    def marks(self, wanted: Sequence[int]) -> list[int]:
        """Return those of the marks at which anything was measured."""
        return [mark for mark in wanted if any(self.distances(attack, mark, "linf") for attack in self.attacks)]


def games(rows: Iterable[Row]) -> dict[tuple[str, str], Game]:
    """Return the rows by network and kind of answer; of an attack whose code has changed, those measured since.

    Where none was measured since, the older ones are kept, and marked in the tables.
    """
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.network, row.answers].append(row)
    return {key: Game(tuple(_newest(each))) for key, each in sorted(found.items())}


def _newest(rows: Sequence[Row]) -> list[Row]:
    current = {row.attack for row in rows if row.is_current}
    return [row for row in rows if row.is_current or row.attack not in current]


def shown(attack: str, rows: Sequence[Row] = ()) -> str:
    """Return what an attack is called in tables."""
    name, options = parse(attack)
    aware = {"true": "8-bit aware", "false": "as published"}
    told = [aware[value] if key == "eight_bit" else f"{key}={value}" for key, value in options.items()]
    stale = any(row.attack == attack and not row.is_current for row in rows)
    return f"`{name}`" + "".join(f", {each}" for each in told) + (f" {STALE}" if stale else "")


def _median(distances: Distances) -> float:
    return statistics.median(list(distances.values())).value if distances else math.inf


def ratio(one: Distances, other: Distances) -> Estimate:
    """Return the geometric mean of one / other over the photos of both, where both found something."""
    both = sorted(one.keys() & other.keys())
    return statistics.ratio([one[photo] for photo in both], [other[photo] for photo in both], seed=len(both))


def failures(one: Distances, other: Distances) -> int:
    """Return on how many photos of both either found nothing."""
    return sum(math.isinf(max(one[photo], other[photo])) for photo in one.keys() & other.keys())


def within(distances: Distances, threshold: float) -> Estimate:
    """Return the share of photos on which an attack comes within a threshold, with Wilson's interval."""
    return rate(sum(value <= threshold for value in distances.values()), len(distances))


def mcnemar(one: Distances, other: Distances, threshold: float) -> float:
    """Return the exact probability that success within a threshold on the photos of both differs by chance."""
    both = one.keys() & other.keys()
    wins = sum(one[photo] <= threshold < other[photo] for photo in both)
    losses = sum(other[photo] <= threshold < one[photo] for photo in both)
    return statistics.sign_test(wins, losses)


def number(value: float) -> str:
    """Return an RMSE as papers print it: .0123, or ∞."""
    return "∞" if math.isinf(value) else f"{value:.4f}".lstrip("0") or "0"


def median_text(distances: Distances, most: int) -> str:
    """Return the median with its interval, and n where it is fewer than `most`."""
    if not distances:
        return NONE
    found = statistics.median(list(distances.values()))
    fewer = f", n={found.n}" if found.n < most else ""
    if math.isnan(found.low):
        return f"{number(found.value)}{fewer}"
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]{fewer}"


def ratio_text(one: Distances, other: Distances) -> str:
    """Return the ratio with its interval, bold where 1 lies outside, with n and how many photos failed."""
    found = ratio(one, other)
    if not found.known:
        return NONE
    failed = failures(one, other)
    rest = f", n={found.n}" + (f", {failed} failed" if failed else "")
    if math.isnan(found.low):
        return f"{found.value:.2f}{rest}"
    text = f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return (f"**{text}**" if found.high < 1 or found.low > 1 else text) + rest


def share_text(distances: Distances, threshold: float) -> str:
    """Return a success rate in per cent with Wilson's interval."""
    found = within(distances, threshold)
    if not found.known:
        return NONE
    return f"{100 * found.value:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def best(game: Game, mark: int, measure: str, among: Iterable[str]) -> str | None:
    """Return the attack with the smallest geometric mean at a mark, of those on enough photos; None: none is."""
    candidates = {attack: game.distances(attack, mark, measure) for attack in among}
    enough = {attack: found for attack, found in candidates.items() if len(found) >= ENOUGH}
    if not enough:
        return None
    common = set.intersection(*(set(found) for found in enough.values()))
    if not common:
        return None
    return min(enough, key=lambda attack: _centre(enough[attack][photo] for photo in common))


def _centre(values: Iterable[float]) -> float:
    return float(np.mean(np.log([max(value, 1e-9) for value in values])))


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table, all columns but the first to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)) + "\n"
