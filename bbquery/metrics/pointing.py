"""The pointing game (Zhang et al., "Top-down neural attention by excitation backprop"): is the peak on the object?

A map hits if its highest pixel is at most 15 pixels from a box of the target. Accuracies are taken for each class and
then averaged, so that a frequent class does not decide alone. It asks nothing and judges the model along with the map.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics._boxes import Box, inside
from bbquery.metrics._maps import ranks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

TOLERANCE = 15.0  # pixels, as in the game's own code


def hits(values: NDArray[np.float64], boxes: Sequence[Box], *, tolerance: float = TOLERANCE, seed: int = 0) -> bool:
    """Return whether the highest pixel of a map (H, W) is within `tolerance` pixels of a box, centre to centre.

    Several equally high pixels: one is drawn from the seed. NaN, which the oracle did not see, is never the highest.

    Raises:
        UsageError: no box, one beyond the map, a map that is NaN everywhere, or a tolerance below 0.
    """
    if not tolerance >= 0:
        raise UsageError(f"tolerance must be a number of pixels of at least 0, not {tolerance!r}")
    found = inside(boxes, (values.shape[0], values.shape[1]))
    if np.isnan(values).all():
        raise UsageError("the map is NaN everywhere: it points nowhere")
    peak = np.argmin(ranks(np.where(np.isnan(values), -np.inf, values), seed))
    row, column = np.unravel_index(peak, values.shape)
    rows, columns = np.nonzero(found)
    return bool(((rows - row) ** 2 + (columns - column) ** 2).min() <= tolerance**2)


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
