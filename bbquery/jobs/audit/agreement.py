"""Agreement of two oracles on the same photos: of what they name first, and of where their maps look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.audit.figures import Shares
from bbquery.jobs.audit.summary import Agreement
from bbquery.jobs.explain.ranks import rank_correlation
from bbquery.jobs.intervals import Bounds, Estimate, Z, mean_between, rate

if TYPE_CHECKING:
    from bbquery.jobs.audit.row import MapRow, Row

OF_CORRELATION: Bounds = (-1.0, 1.0)


@dataclass
class Pair:
    """Figures gathered of two oracles, by their names."""

    one: str
    other: str
    apart: Shares = field(default_factory=Shares)
    maps: list[tuple[float, str]] = field(default_factory=list)

    def add(self, one: Row | None, other: Row | None) -> None:
        """Count a photo that both were asked."""
        if one is None or other is None:
            return
        if one.first and other.first:
            self.apart.add(one.photo, one.first.casefold() != other.first.casefold())
        if (found := correlation(one, other)) is not None:
            self.maps.append((found, one.photo))

    def labels(self) -> Estimate:
        """Return the share of photos that both name the same first, with its interval."""
        return rate(self.apart.known - self.apart.so, self.apart.known)

    def correlation(self, z: float = Z) -> Estimate:
        """Return the mean correlation of their maps, with its interval. z: its half width, of a normal distribution."""
        return mean_between(np.array([value for value, _ in self.maps], dtype=np.float64), OF_CORRELATION, z)

    def summary(self) -> Agreement:
        """Return what is said of the two."""
        return Agreement(
            oracles=(self.one, self.other), labels=self.labels(), maps=self.correlation(), apart=self.apart.worst
        )


def correlation(one: Row, other: Row) -> float | None:
    """Return the mean rank correlation of two rows' maps, -1 to 1, each with that of the same method and place.

    None where there is no such pair, or a map is constant.
    """
    pairs = zip(one.maps, other.maps, strict=False)
    found = [_correlation(a, b) for a, b in pairs if _name(a.method) == _name(b.method)]
    known = [each for each in found if np.isfinite(each)]
    return float(np.mean(known)) if known else None


def _name(method: str) -> str:
    """Return the name of a method, without options: what drift checks take leaves two models unlike many queries."""
    return method.partition("(")[0]


def _correlation(one: MapRow, other: MapRow) -> float:
    a, b = (np.array(m.grid, dtype=np.float64) for m in (one, other))  # None becomes NaN
    return rank_correlation(a, b) if a.shape == b.shape and a.size else float("nan")
