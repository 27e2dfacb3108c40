"""Changes since a baseline, another audit of the same photos: each figure paired by photo, with its interval.

Means are compared by the mean of the pairs' differences, with an interval within its bounds, shares by Newcombe's
interval. A figure is compared where both audits have it of a photo; photos that only one of them has count for nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.audit.summary import ANOTHER, Change
from bbquery.jobs.intervals import A_SHARE, UNBOUNDED, Bounds, difference, mean_between, rate, unknown, widest

if TYPE_CHECKING:
    from bbquery.jobs.audit.row import Row

MOST_PHOTOS = 20
"""Names of photos that changed the most, of each figure."""
ENOUGH, BREAKS = "share of the photo that is enough", "share of the photo whose hiding changes the answer"


def _mean_of(what: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        known = [float(found) for m in row.maps if (found := getattr(m, what)) is not None]
        return sum(known) / len(known) if known else None

    return value


def _nearest(row: Row) -> float | None:
    return min((a.rmse for a in row.attacks if a.rmse is not None), default=None)


MEANS: dict[str, Callable[[Row], float | None]] = {
    "mean fidelity": lambda row: row.fidelity,
    ENOUGH: _mean_of("enough"),
    BREAKS: _mean_of("breaks"),
    "RMSE of the nearest adversarial image": _nearest,
    "score of the first answer": lambda row: row.first_value,
}
BOUNDS: dict[str, Callable[[Row], Bounds]] = {
    "mean fidelity": lambda row: row.fidelity_bounds,
    "score of the first answer": lambda row: row.first_bounds or UNBOUNDED,
}
"""The least and the most that a figure of a photo can be; what is not here is 0 to 1."""
SHARES: dict[str, Callable[[Row], bool | None]] = {
    "photos named right": lambda row: row.right,
    "photos whose first label changed when asked again": lambda row: row.flips > 0 if row.repeats else None,
    "photos without an answer": lambda row: bool(row.nothing) if row.first or row.nothing else None,
}


@dataclass
class Comparison:
    """One oracle before and after. distances: of robustness."""

    oracle: str
    distances: Sequence[float] = ()
    _pairs: dict[str, list[tuple[float, float, str]]] = field(default_factory=dict)
    _bounds: dict[str, Bounds] = field(default_factory=dict)
    _named: list[tuple[bool, str]] = field(default_factory=list)

    def add(self, before: Row | None, after: Row | None) -> None:
        """Count a photo that both audits have."""
        if before is None or after is None:
            return
        for figure, value in self._figures():
            old, new = value(before), value(after)
            if old is not None and new is not None:
                self._pairs.setdefault(figure, []).append((float(old), float(new), after.photo))
                known = self._bounds.get(figure, A_SHARE)
                self._bounds[figure] = widest(
                    known, *(BOUNDS[figure](each) for each in (before, after) if figure in BOUNDS)
                )
        if before.first and after.first:
            self._named.append((before.first.casefold() != after.first.casefold(), after.photo))

    def _figures(self) -> Iterator[tuple[str, Callable[[Row], float | None]]]:
        yield from MEANS.items()
        yield from SHARES.items()
        for distance in self.distances:
            yield _withstand(distance), functools.partial(_withstands, distance)

    def changes(self) -> Iterator[Change]:
        """Give what changed, or did not, figure by figure; nothing of a figure that no photo has in both."""
        if self._named:
            changed = [photo for another, photo in self._named if another]
            share = rate(len(changed), len(self._named))
            yield Change(
                oracle=self.oracle, figure=ANOTHER, before=unknown(), after=unknown(), difference=share,
                photos=tuple(changed[:MOST_PHOTOS]),
            )  # fmt: skip
        shares = {*SHARES, *map(_withstand, self.distances)}
        for figure, pairs in self._pairs.items():
            yield self._change(figure, pairs, is_share=figure in shares)

    def _change(self, figure: str, pairs: Sequence[tuple[float, float, str]], *, is_share: bool) -> Change:
        old, new = (np.array([pair[side] for pair in pairs], dtype=np.float64) for side in (0, 1))
        moved = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: -abs(pair[1] - pair[0]))
        if is_share:
            before, after = (rate(int(values.sum()), len(values)) for values in (old, new))
            moves = difference(before, after)
        else:
            least, most = bounds = self._bounds[figure]
            before, after = mean_between(old, bounds), mean_between(new, bounds)
            moves = mean_between(new - old, (least - most, most - least))
        return Change(
            oracle=self.oracle, figure=figure, before=before, after=after, difference=moves,
            photos=tuple(photo for *_, photo in moved[:MOST_PHOTOS]),
        )  # fmt: skip


def _withstands(distance: float, row: Row) -> bool | None:
    return row.robust(distance) if row.complete else None


def _withstand(distance: float) -> str:
    return f"photos that withstand RMSE {distance:g}"
