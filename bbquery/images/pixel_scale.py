"""Check that pixels are on the scale they are said to be on (0 to 1, or 0 to 255), before any query.

Libraries hold images as grey levels of 0 to 255, as 0 to 1, as -1 to 1, or normalised by the mean and deviation of a
data set. Pixels on the wrong scale are silently clipped to black, and every answer is about a black image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scale: TypeAlias = Literal["unit", "signed", "normalised", "unknown"]
"""0 to 1; -1 to 1; less a mean and divided by a deviation; or nobody can say."""

LEAST_LEVELS = 32.0  # where white is this and more, grey levels are meant
MOST_DEVIATIONS = 4.0  # from the mean of a data set: no normalised image reaches further
CLEARLY_BELOW = -0.25  # of white: noise that a library adds to a dark photo seldom goes so far
MOST_BELOW = 0.05  # of all values
ROUNDING = 1e-6


def other_scale(pixels: NDArray[Any], white: float) -> Scale | None:
    """Return the scale that finite pixels seem to be on, if not 0 to `white`; None if they may be on that.

    Black images may be on any scale, and values that noise carries a little beyond the range are no other scale.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if white >= LEAST_LEVELS and 0 < max(-low, high) <= MOST_DEVIATIONS and (pixels.dtype.kind == "f" or high <= 1):
        return _small(low, high)
    if low < -white or high > 2 * white:
        return _small(low, high) if max(-low, high) <= MOST_DEVIATIONS else "unknown"
    if low < CLEARLY_BELOW * white and float((pixels < CLEARLY_BELOW * white).mean()) > MOST_BELOW:
        return _small(low, high) if max(-low, high) <= MOST_DEVIATIONS else "unknown"
    return None


def _small(low: float, high: float) -> Scale:
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return "unit"
    return "signed" if low >= -1 - ROUNDING and high <= 1 + ROUNDING else "normalised"
