"""Boxes on an image: where a thing is, in shares of the image's width and height."""

from __future__ import annotations

import math
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle on an image, in shares of its width and height: (0, 0) is the image's top left corner.

    left, top, right, bottom: 0 to 1; left is not above right, nor top above bottom. `Box.of` sees to that.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        """Return its edges as they are typed in a target: "[0.10,0.20,0.50,0.90]"."""
        return f"[{','.join(f'{edge:.2f}' for edge in self)}]"

    @classmethod
    def of(cls, left: float, top: float, right: float, bottom: float) -> Box:
        """Return the box with these edges.

        Raises:
            ValueError: an edge is outside 0 to 1, or beyond the opposite one; a NaN is both.
        """
        edges = [float(edge) for edge in (left, top, right, bottom)]
        box = cls(*edges)
        if not all(0 <= edge <= 1 for edge in edges) or box.left > box.right or box.top > box.bottom:
            raise ValueError(f"a box is left, top, right and bottom, each 0 to 1, not {box}")
        return box

    @classmethod
    def around(cls, across: list[float], down: list[float]) -> Box:
        """Return the smallest box around points, each at `across` and `down`; what lies beyond the image is cut off.

        Raises:
            ValueError: there is no point, or one is not a number.
        """
        if any(map(math.isnan, (*across, *down))):
            raise ValueError("a point of a box is not a number")
        return cls.of(*(min(max(end(along), 0.0), 1.0) for end in (min, max) for along in (across, down)))

    @property
    def area(self) -> float:
        """The share of the image that it covers, 0 to 1."""
        return (self.right - self.left) * (self.bottom - self.top)

    def overlap(self, other: Box) -> float:
        """Return the intersection over the union of two boxes, 0 to 1; 0 where a box has no area."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        if across <= 0 or down <= 0:
            return 0.0
        shared = across * down
        union = self.area + other.area - shared
        return min(1.0, shared / union) if union > 0 else 0.0  # rounding may pass 1; a tiny area may vanish
