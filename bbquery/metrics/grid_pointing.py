"""The grid pointing game (Böhle et al., "Convolutional dynamic alignment networks"): evidence in a montage of photos.

Photos of different classes, each recognised with confidence, are laid out in a square. The montage is explained for the
class of one of them; the share of the map's positive side that lies in that photo's cell should be near 1, and a map
without preference gets 1 / number of cells. Unlike boxes, cells are known without annotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics import Box, Measurement, Metric, Need, Quantity, Question
from bbquery.metrics.r_sal import r_sal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.types import Image, SaliencyMap

CELL = 0
"""Of the photo whose map is judged, at the top left."""
SIZES = (4, 9)
"""How many photos a montage has."""


def montage(photos: Sequence[Image]) -> Image:
    """Return n × n photos (H, W, 3) in one (n H, n W, 3), in rows from the top left.

    Raises:
        UsageError: they are not a square number, 4 or more, or not all of one size and dtype.
    """
    n = math.isqrt(len(photos))
    if n < 2 or n * n != len(photos):
        raise UsageError(f"{len(photos)} photos make no square montage: give 4, or 9")
    if len({(photo.shape, photo.dtype) for photo in photos}) > 1:
        raise UsageError("photos of different sizes or dtypes make no montage: bring them to one size first")
    rows = [np.concatenate(photos[n * row : n * (row + 1)], axis=1) for row in range(n)]
    whole: Image = np.concatenate(rows, axis=0)
    return whole


def cell_share(values: NDArray[np.float64], cell: int, cells: int) -> float:
    """Return the share of the positive side of a map (H, W) of a montage that lies in one cell, 0 to 1.

    cell: from 0, in rows from the top left, of `cells` (4 or 9). NaN where nothing is positive; NaN values of the map,
    which the oracle did not see, do not count: crop nothing, or the outer cells lose some of theirs.

    Raises:
        UsageError: cells is no square number from 4, there is no such cell, or cells do not divide the map evenly.
    """
    n = math.isqrt(cells)
    if n < 2 or n * n != cells or not 0 <= cell < cells:
        raise UsageError(f"cell {cell} of {cells} is none: give a square number of cells, and count them from 0")
    if values.shape[0] % n or values.shape[1] % n:
        raise UsageError(f"a map of shape {values.shape} has no {n} × {n} equal cells")
    height, width = values.shape[0] // n, values.shape[1] // n
    return r_sal(values, [Box(cell % n * width, cell // n * height, width, height)])


@dataclass(frozen=True, kw_only=True)
class GridPointing(Metric):
    """The share of the positive map of a montage that lies in the photo's own cell, at the top left.

    The montage is explained by the method that made the map. It has no options, but 3 or 8 other photos.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("grid_pointing", "higher", "share", "a map without preference gets 1 / number of cells"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("montage", "made")
    place: ClassVar[int] = 90

    def question(self, given: Given, /) -> Question:
        """Return the question of the montage's map.

        Raises:
            UsageError: another number of photos.
        """
        made, others = given.making, given.montage
        if len(others) + 1 not in SIZES:
            raise UsageError(f"a montage has 4 photos or 9, so give 3 others or 8, not {len(others)}")
        return Question(
            name=f"InMontage(made={made!r}, others={others!r})", queries=made.method.queries, plan=self.plan
        )

    def plan(self, case: Case) -> Plan[SaliencyMap]:
        """Ask all that the method asks of the montage; return the map of what was sent."""
        made = case.given.making
        return made.method.plan(montage(case.cells()), case.domain, made.seed)

    def measurements(self, case: Case, answer: SaliencyMap, /) -> list[Measurement]:
        """Return the share of the first cell."""
        (quantity,), cells = self.quantities, len(case.given.montage) + 1
        return [
            quantity.measured(
                cell_share(answer.values, CELL, cells), steps=1, queries=case.given.making.method.queries,
                unanswered=answer.rows - answer.answered,
                used=f"cell {CELL + 1} of {cells}; {1 / cells:.2g} by chance",
            )
        ]  # fmt: skip


METRIC = GridPointing
