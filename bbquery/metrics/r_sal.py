"""The saliency ratio r_sal (Mokuwe, Burke and Bosman, "Black-box saliency map generation using Bayesian optimisation").

The share of a map's positive side that lies inside the boxes of what is to be found (section IV-C): 1 is all, 0 none. A
map without preference gets the boxes' share of the area, so state that beside it. It asks nothing, and it judges the
model along with the map: a model that looks at the background has an honest map outside the box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.metrics import Measurement, Metric, Need, Quantity
from bbquery.metrics._boxes import inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Box, Case


def r_sal(values: NDArray[np.float64], boxes: Sequence[Box]) -> float:
    """Return Σ map inside the boxes / Σ map, 0 to 1, of the map (H, W) clipped at 0; NaN where nothing is positive.

    NaN values of the map, which the oracle did not see, count neither inside nor outside.

    Raises:
        UsageError: no box, or one beyond the map.
    """
    found = inside(boxes, (values.shape[0], values.shape[1]))
    positive = np.clip(np.nan_to_num(values), 0, None)
    total = float(positive.sum())
    return float(positive[found].sum()) / total if total > 0 else math.nan


@dataclass(frozen=True, kw_only=True)
class RSal(Metric):
    """The share of the map's positive side inside the boxes. It has no options."""

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("r_sal", "higher", "share", "a map without preference gets the boxes' share of the area"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("boxes",)
    chosen: ClassVar[bool] = True
    place: ClassVar[int] = 50

    def measurements(self, case: Case, _: None, /) -> list[Measurement]:
        """Return the share, which asks nothing."""
        (quantity,) = self.quantities
        return [quantity.measured(r_sal(case.in_photo, case.given.boxes))]


METRIC = RSal
