"""Models that tests name on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bbquery.types import Image


def sides(image: Image) -> list[float]:
    """Return the shares of brightness in the left and the right half: a model with an obvious map."""
    left, right = image[:, : image.shape[1] // 2].mean(), image[:, image.shape[1] // 2 :].mean()
    total = float(left + right) or 1.0
    return [float(left) / total, float(right) / total]


def not_a_number(image: Image) -> list[float]:
    """Return what no model should."""
    return [float("nan"), 0.5]


def raises(image: Image) -> list[float]:
    """Fail as a model does that is out of memory."""
    raise MemoryError("no room")


def two_numbers_too_many(image: Image) -> list[float]:
    """Return more numbers than there are classes."""
    return list(np.full(4, 0.25))
