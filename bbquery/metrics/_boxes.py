"""Boxes around what a photo shows, as annotations give them: what maps are held against by people's eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Box


def inside(boxes: Sequence[Box], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where a map of this size (H, W) lies in at least one of the boxes; what hangs over the border is cut off.

    Raises:
        UsageError: no box is given, or one has no pixel on the map.
    """
    if not boxes:
        raise UsageError("give at least one box")
    out = np.zeros(size, dtype=np.bool_)
    for box in boxes:
        top, left = max(box.y, 0), max(box.x, 0)
        within = out[top : max(box.y + box.height, 0), left : max(box.x + box.width, 0)]
        if not within.size:
            raise UsageError(f"the box {tuple(box)} has no pixel on a map of {size[1]} × {size[0]} pixels")
        within[:] = True
    return out
