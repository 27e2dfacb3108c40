"""A map in the photo's coordinates, brought to the pixels that an oracle is sent: the way back of `Placement.to_photo`.

Metrics hide pixels as they are sent, so a map must have a value for each of those. NaN is expected where the oracle
sees nothing, and refused where it does see something.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.imaging import Placement


def both_ways(values: NDArray[np.float64], placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a map in the photo's coordinates and in those of the pixels that are sent, float64 both.

    values: of the photo's (height, width), or of that which is sent.

    Raises:
        UsageError: it has neither shape, is not finite where the oracle sees something, or is constant there.
    """
    if values.shape not in (placement.photo, placement.size):
        raise UsageError(
            f"the map has shape {values.shape}, but the photo {placement.photo} and what the oracle is sent of it "
            f"{placement.size}: give the map that was made of this photo, as (height, width)"
        )
    floats = np.asarray(values, dtype=np.float64)
    of_photo = values.shape == placement.photo
    sent = to_sent(floats, placement) if of_photo else floats
    if not np.isfinite(sent).all():
        raise UsageError("the map has NaN or infinite values where the oracle sees the photo: it ranks no pixels there")
    if np.ptp(sent) == 0:
        raise UsageError(f"the map is constant ({sent.flat[0]:g} everywhere): it ranks no pixel above another")
    return (floats if of_photo else placement.to_photo(floats)), sent


def gradient_as_sent(values: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return a gradient (h, w, 3) of the pixels that are sent, as float64.

    Raises:
        UsageError: it has another shape, or is not finite.
    """
    if values.shape != (*placement.size, 3):
        raise UsageError(f"the map has shape {values.shape}, but a gradient of what is sent {(*placement.size, 3)}")
    if not np.isfinite(values).all():
        raise UsageError("the map has NaN or infinite values: a gradient is known in every pixel that is sent")
    return np.asarray(values, dtype=np.float64)


def to_sent(values: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Bring a map (H, W) in the photo's coordinates to the pixels that are sent, (h, w).

    A pixel that is sent takes the bilinear interpolation of the map at its centre; where it covers k > 1 pixels of the
    photo, the mean of ceil(k) × ceil(k) evenly spaced such points. Values beyond the box, which are NaN, do not count;
    one within it makes what is interpolated from it NaN.
    """
    left, top, right, bottom = placement.box
    seen = np.outer(_within(top, bottom, values.shape[0]), _within(left, right, values.shape[1]))
    weights = seen.astype(np.float64)
    total = np.where(seen, values, 0.0)
    for start, stop, size in ((top, bottom, placement.size[0]), (left, right, placement.size[1])):
        total, weights = (_resampled(each, start, stop, size).T for each in (total, weights))
    return total / weights


def _within(start: float, stop: float, length: int) -> NDArray[np.bool_]:
    """Return which of `length` pixels have their centre between start and stop."""
    centres = np.arange(length) + 0.5
    return (centres >= start) & (centres <= stop)


def _resampled(values: NDArray[np.float64], start: float, stop: float, size: int) -> NDArray[np.float64]:
    """Return `values` (n, m) at `size` pixels that lie evenly between start and stop of its rows, (size, m)."""
    step = (stop - start) / size
    points = max(1, math.ceil(step))
    total = np.zeros((size, values.shape[1]))
    for point in range(points):
        position = start + (np.arange(size) + (point + 0.5) / points) * step - 0.5
        position = np.clip(position, 0, len(values) - 1)
        lower = np.floor(position).astype(int)
        share = (position - lower)[:, None]
        total += values[lower] * (1 - share) + values[np.minimum(lower + 1, len(values) - 1)] * share
    return total / points
