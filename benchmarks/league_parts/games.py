"""Complete games: every one of the 2^k masked answers of a real model is known, so the truth is exact and instant.

A game is shown to our methods as an image of k pixels, white on black: a pixel above half of white is a visible cell.
Its exact main effects are the Banzhaf values, mean of value(with i) - value(without i) over all other cells. Deletion
takes cells away from all visible, insertion adds them to none visible, in the map's order, and SRG is the difference
of the areas below the two curves of k + 1 points (trapezium).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image

SIZES = {16: (4, 4), 14: (2, 7)}  # superpixels have no grid: any shape of 14 pixels would do
HALF = 127.5


@dataclass(frozen=True, eq=False)
class Game:
    """One photo under one model. values: float64 (2^k,), of the set of visible cells, bit i for cell i."""

    name: str
    values: NDArray[np.float64]

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.values).bit_length() - 1

    @property
    def model(self) -> str:
        """Whose answers they are."""
        return self.name.rpartition("_")[0]

    @property
    def image(self) -> Image:
        """The photo, one white pixel a cell: (H, W, 3) uint8."""
        return np.full((*SIZES[self.cells], 3), 255, dtype=np.uint8)

    def ask(self, visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the values (n,) of sets of visible cells (n, k)."""
        return self.values[visible.astype(np.int64) @ (1 << np.arange(self.cells))]

    def answer(self, ask: Ask) -> Scores:
        """Answer images of k pixels."""
        shown = np.array([ask.images[row][..., 0].ravel() > HALF for row in range(len(ask.images))])
        values = self.ask(shown.reshape(-1, self.cells))
        return Scores(np.full(len(values), Decision.NOT_MET, dtype=np.int8), values)

    def main_effects(self) -> NDArray[np.float64]:
        """Return the Banzhaf value of each cell, (k,)."""
        split = self.values.reshape((2,) * self.cells)  # axis 0 is the highest bit
        return np.array([np.diff(split, axis=self.cells - 1 - i).mean() for i in range(self.cells)])

    def shapley_values(self) -> NDArray[np.float64]:
        """Return the Shapley value of each cell, (k,): what it adds, averaged over all orders in which cells appear."""
        sets = np.arange(len(self.values))
        sizes = np.bitwise_count(sets)
        orders = np.array([1 / (self.cells * math.comb(self.cells - 1, size)) for size in range(self.cells)])
        found = []
        for i in range(self.cells):
            without = sets[sets >> i & 1 == 0]
            found.append(orders[sizes[without]] @ (self.values[without | 1 << i] - self.values[without]))
        return np.array(found)

    def srg(self, effects: NDArray[np.float64], seed: int) -> float:
        """Return insertion minus deletion for cells taken by descending effect, equal ones in a drawn order."""
        drawn = np.random.default_rng(seed).permutation(self.cells)
        order = np.lexsort((drawn, -effects))
        inserted = np.zeros((self.cells + 1, self.cells), dtype=np.bool_)
        for taken in range(1, self.cells + 1):
            inserted[taken, order[:taken]] = True
        return _area(self.ask(inserted)) - _area(self.ask(~inserted))


def _area(curve: NDArray[np.float64]) -> float:
    return float((curve[1:] + curve[:-1]).mean() / 2)


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Pearson's correlation; 0 where either does not vary, which tells nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def read(folder: Path) -> list[Game]:
    """Return the games of a folder, by name."""
    return [Game(path.stem, np.load(path)["values"].astype(np.float64)) for path in sorted(folder.glob("*.npz"))]
