"""Outline of a box on a picture: thin, and seen on light and on dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.boxes import Box

LINES = (16, 255)
"""Grey levels of the outline's lines, the outer first."""

PIXELS_A_LINE = 600
"""Pixels of the picture's longer side for each pixel of a line's width."""


def outlined(pixels: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3) with an outline along the inside of a box on it; without a box the picture itself."""
    if box is None:
        return pixels
    drawn = pixels.copy()
    height, width = pixels.shape[:2]
    thick = -(-max(height, width) // PIXELS_A_LINE)
    left, right = _span(box.left, box.right, width)
    top, bottom = _span(box.top, box.bottom, height)
    for number, level in enumerate(LINES):
        inset = number * thick
        _frame(drawn[top + inset : bottom - inset, left + inset : right - inset], level, thick)
    return drawn


def _frame(part: NDArray[np.uint8], level: int, thick: int) -> None:
    """Draw a line along the edges of a part, within it."""
    for edge in (part[:thick], part[-thick:], part[:, :thick], part[:, -thick:]):
        edge[:] = level


def _span(start: float, stop: float, length: int) -> tuple[int, int]:
    """Return between which pixels an edge lies, at least one apart."""
    first = min(round(start * length), length - 1)
    return first, max(first + 1, round(stop * length))
