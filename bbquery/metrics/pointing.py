"""The pointing game (Zhang et al., "Top-down neural attention by excitation backprop"): is the peak on the object?

A map hits if its highest pixel is at most 15 pixels from a box of the target. Accuracies are taken for each class and
then averaged, so that a frequent class does not decide alone. It asks nothing and judges the model along with the map.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics import Measurement, Metric, Need, Quantity
from bbquery.metrics._boxes import inside
from bbquery.metrics._maps import ranks
from bbquery.metrics._options import changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Box, Case

TOLERANCE = 15.0  # pixels, as in the game's own code


def hits(values: NDArray[np.float64], boxes: Sequence[Box], *, tolerance: float = TOLERANCE, seed: int = 0) -> bool:
    """Return whether the highest pixel of a map (H, W) is within `tolerance` pixels of a box, centre to centre.

    Several equally high pixels: one is drawn from the seed. NaN, which the oracle did not see, is never the highest.

    Raises:
        UsageError: no box, one beyond the map, a map that is NaN everywhere, or a tolerance below 0.
    """
    _check_tolerance(tolerance)
    found = inside(boxes, (values.shape[0], values.shape[1]))
    if np.isnan(values).all():
        raise UsageError("the map is NaN everywhere: it points nowhere")
    peak = np.argmin(ranks(np.where(np.isnan(values), -np.inf, values), seed))
    row, column = np.unravel_index(peak, values.shape)
    rows, columns = np.nonzero(found)
    return bool(((rows - row) ** 2 + (columns - column) ** 2).min() <= tolerance**2)


def _check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise UsageError(f"tolerance must be a number of pixels of at least 0, not {tolerance!r}")


def pointing_accuracy(outcomes: Iterable[tuple[str, bool]]) -> float:
    """Return the mean over classes of the share of hits in each, 0 to 1. outcomes: class and hit, one a map.

    Raises:
        UsageError: there is no outcome.
    """
    by_class: defaultdict[str, list[bool]] = defaultdict(list)
    for name, hit in outcomes:
        by_class[name].append(hit)
    if not by_class:
        raise UsageError("no outcome is given: there is no accuracy")
    return float(np.mean([np.mean(found) for found in by_class.values()]))


@dataclass(frozen=True, kw_only=True)
class Pointing(Metric):
    """Whether the map's peak is near a box.

    Args:
        tolerance: how far from a box the peak may be, in pixels of the photo; at least 0.

    Raises:
        UsageError: tolerance below 0.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("pointing", "higher", "1 if it hits, else 0", "a random peak hits by the share of such pixels"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("boxes",)
    chosen: ClassVar[bool] = True
    place: ClassVar[int] = 60
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        _check_tolerance(self.tolerance)

    def measurements(self, case: Case, _: None, /) -> list[Measurement]:
        """Return whether it hits, which asks nothing."""
        (quantity,) = self.quantities
        hit = hits(case.in_photo, case.given.boxes, tolerance=self.tolerance, seed=case.seed)
        return [quantity.measured(float(hit), used=changed(self, "tolerance"))]


METRIC = Pointing
