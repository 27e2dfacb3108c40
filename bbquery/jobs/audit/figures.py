"""Figures of one oracle over all photos, gathered row by row: counts and short lists of numbers, and no row."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.audit.summary import OracleSummary, Robustness
from bbquery.jobs.intervals import A_SHARE, Bounds, Estimate, Z, mean_between, rate, widest
from bbquery.units import NOTHING, Units, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.jobs.audit.row import MapRow, Row
    from bbquery.ledger.records import BudgetState

NOT_ASKED = "not begun"


@dataclass
class Shares:
    """Photos of which something is so, of those of which it is known. photos: names of them, with how bad it is."""

    known: int = 0
    so: int = 0
    photos: list[tuple[float, str]] = field(default_factory=list)

    def add(self, photo: str, value: bool | None, badness: float = 1.0) -> None:
        """Count a photo; None counts nothing."""
        if value is None:
            return
        self.known += 1
        if value:
            self.so += 1
            self.photos.append((badness, photo))

    @property
    def estimate(self) -> Estimate:
        """The share, with its interval."""
        return rate(self.so, self.known)

    @property
    def worst(self) -> tuple[str, ...]:
        """The photos, the worst first."""
        return tuple(photo for _, photo in sorted(self.photos, key=lambda each: -each[0]))


@dataclass
class Figures:
    """Figures gathered of one oracle. distances: of robustness, the largest first.

    stored: photos of which nothing was asked anew. unwatched: of these, those whose stored answers show no drift; that
    the model is still the one that gave them, they cannot tell. half_watched: photos that show none and were asked
    anew, but not for all answers that they rest on, or not checked after the last one.
    """

    name: str
    distances: Sequence[float] = ()
    model: str = ""
    served: dict[str, None] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    why_not_begun: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
    right: Shares = field(default_factory=Shares)
    flipped: Shares = field(default_factory=Shares)
    refused: Shares = field(default_factory=Shares)
    chance: Shares = field(default_factory=Shares)
    drifted: Shares = field(default_factory=Shares)
    stored: Shares = field(default_factory=Shares)
    unwatched: int = 0
    half_watched: int = 0
    found: dict[float, Shares] = field(default_factory=dict)
    fidelity: list[tuple[float, str]] = field(default_factory=list)
    fidelity_bounds: Bounds = (0.0, 0.0)
    enough: list[float] = field(default_factory=list)
    breaks: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    sent: int = 0
    from_store: int = 0
    unknown: int = 0
    seconds: float = 0.0
    of_complete: Units = NOTHING

    def add(self, row: Row | None) -> None:
        """Count a photo; None is one that has not begun."""
        if row is None:
            self.statuses[NOT_ASKED] += 1
            return
        self.statuses[row.status] += 1
        if row.status == NOT_ASKED:
            self.why_not_begun = self.why_not_begun or row.why
        if row.unreadable:
            self.unreadable[row.source] = row.why
        self.model = row.versions.get("oracle", self.model)
        self.served.update(dict.fromkeys(row.served))
        self.kinds.update(row.kinds)
        self.asked, self.sent = self.asked + row.asked, self.sent + row.queries
        self.from_store, self.unknown = self.from_store + row.from_store, self.unknown + row.unknown
        self.seconds += row.seconds
        if row.complete:
            self.of_complete = total((self.of_complete, row.posted))
        self._add_answers(row)
        for m in row.maps:
            self._add_map(row, m)

    def _add_answers(self, row: Row) -> None:
        """Count what is known of a photo's answers; only attacks that ended count."""
        answered = bool(row.first or row.nothing)
        self.right.add(row.photo, row.right)
        self.flipped.add(row.photo, row.flips > 0 if row.repeats else None, row.flips / max(row.repeats, 1))
        self.refused.add(row.photo, bool(row.nothing) if answered else None)
        not_seen = row.drifted is False and row.changed is None
        self.unwatched += not_seen and row.stored is True
        self.half_watched += not_seen and row.stored is not True
        self.drifted.add(row.photo, row.changed)
        self.stored.add(row.photo, row.stored)
        if row.fidelity is not None:
            self.fidelity.append((row.fidelity, row.photo))
            self.fidelity_bounds = widest(self.fidelity_bounds, row.fidelity_bounds)
        nearest = min((a.rmse for a in row.attacks if a.rmse is not None), default=math.inf)
        for distance in self.distances:
            robust = row.robust(distance) if row.complete else None
            shares = self.found.setdefault(distance, Shares())
            shares.add(row.photo, None if robust is None else not robust, -nearest)

    def _add_map(self, row: Row, m: MapRow) -> None:
        self.chance.add(row.photo, bool(m.stamp))
        if m.enough is not None:
            self.enough.append(m.enough)
        if m.breaks is not None:
            self.breaks.append(m.breaks)

    def robustness(self, distance: float) -> Estimate:
        """Return the share of attacked photos for which nothing was found within a distance, with its interval."""
        shares = self.found.get(distance, Shares())
        return rate(shares.known - shares.so, shares.known)

    def mean_fidelity(self, z: float = Z) -> Estimate:
        """Return the mean fidelity, with its interval. z: its half width, of a normal distribution."""
        return _mean((value for value, _ in self.fidelity), self.fidelity_bounds, z)

    def summary(self, budget: BudgetState, ended: str) -> OracleSummary:
        """Return what is said of the oracle. ended: what ended its lane early."""
        complete = self.statuses["complete"]
        return OracleSummary(
            name=self.name, model=self.model, served=tuple(self.served), photos=self.statuses.total(),
            complete=complete, partial=self.statuses["partial"], failed=self.statuses["failed"],
            not_begun=self.statuses[NOT_ASKED], ended=ended, right=self.right.estimate,
            flipped=self.flipped.estimate, refused=self.refused.estimate, chance=self.chance.estimate,
            fidelity=self.mean_fidelity(), enough=_mean(self.enough, A_SHARE), breaks=_mean(self.breaks, A_SHARE),
            robust=tuple(Robustness(rmse=each, share=self.robustness(each)) for each in self.distances),
            drifted=self.drifted.so, asked=self.asked, unanswered=self.kinds.total(), kinds=dict(self.kinds),
            answered=self.stored.known, stored=self.stored.so,
            sent=self.sent, from_store=self.from_store, budget=budget, of_a_photo=_each(self.of_complete, complete),
            unknown=self.unknown, seconds=self.seconds,
        )  # fmt: skip


def _mean(values: Iterable[float], bounds: Bounds, z: float = Z) -> Estimate:
    return mean_between(np.array(list(values), dtype=np.float64), bounds, z)


def _each(units: Units, n: int) -> Units:
    """Return an amount divided, rounded."""
    return Units(*(round(amount / n) for amount in units.amounts)) if n else NOTHING
