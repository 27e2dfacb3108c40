"""Refusals by visibility: the share of copies left unanswered, by how much of the photo they showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Visibility

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANGES = 10


class VisibilityCount:
    """Counts copies and unanswered copies by the share of them that was visible, in ten ranges of equal width."""

    def __init__(self) -> None:
        self._asked = np.zeros(RANGES, dtype=np.int64)
        self._unanswered = np.zeros(RANGES, dtype=np.int64)

    def add(self, visible: NDArray[np.float64], answers: NDArray[np.int64]) -> None:
        """Add copies. visible: (n,), the share of each that was visible, 0 to 1. answers: (n,), as `Scores.answers`.

        Of a batch that was stopped add only what was answered: the rest may never have been asked.
        """
        place = np.clip((visible * RANGES).astype(np.int64), 0, RANGES - 1)
        self._asked += np.bincount(place, minlength=RANGES)
        self._unanswered += np.bincount(place[answers == 0], minlength=RANGES)

    def ranges(self) -> tuple[Visibility, ...]:
        """Return the ranges in which anything was asked, from hidden to visible."""
        middles = (np.arange(RANGES) + 0.5) / RANGES
        found = zip(middles, self._asked, self._unanswered, strict=True)
        return tuple(Visibility(float(m), int(asked), int(none)) for m, asked, none in found if asked)
