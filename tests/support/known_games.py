"""Games with known effects, played by a method on an image of one pixel a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import replay
from bbquery.types import UINT8, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.saliency import Method
    from bbquery.types import SaliencyMap

Value = Callable[["NDArray[np.bool_]"], "NDArray[np.float64]"]
"""From which cells are visible, (n, cells), to the scores (n,)."""


def play(value: Value, shape: tuple[int, int], method: Method, seed: int = 0, after: int | None = None) -> SaliencyMap:
    """Return the map of a white image of this shape, of which a method hides pixels in black."""

    def answer(ask: Ask) -> Scores:
        rows = [ask.images[row] for row in range(len(ask.images))]
        visible = np.array([row[..., 0].ravel() > 127 for row in rows])
        values = value(visible)
        return Scores(np.ones(len(values), dtype=np.int8), values)

    return replay(method.plan(np.full((*shape, 3), 255, np.uint8), UINT8, seed), answer, stop_after=after)


def all_rows(cells: int) -> NDArray[np.bool_]:
    """Return every way to show cells, (2^cells, cells): bit i of the index is cell i."""
    rows: NDArray[np.bool_] = (np.arange(2**cells)[:, None] >> np.arange(cells)) & 1 == 1
    return rows


def exact_effects(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of a complete game's values with each cell visible minus the mean with it hidden."""
    rows = all_rows(int(np.log2(len(values))))
    return np.array([values[column].mean() - values[~column].mean() for column in rows.T])
