"""The cosine between an estimated gradient and the true one (Zhang et al., tables 4 and 5), where that can be had.

Direction alone counts, not scale: 1 is the same direction, 0 is what unrelated directions get, with a standard
deviation of 1 / √d for d values. It asks nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gradient_cosine(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the cosine of the angle between two gradients of one shape, -1 to 1; NaN where one is zero.

    Raises:
        UsageError: their shapes differ, or one has NaN or infinite values.
    """
    if np.shape(estimated) != np.shape(true):
        raise UsageError(f"gradients of shapes {np.shape(estimated)} and {np.shape(true)} have no angle")
    a, b = _direction(estimated), _direction(true)
    if a is None or b is None:
        return math.nan
    return float(np.clip(np.einsum("i,i->", a, b), -1.0, 1.0))


def _direction(gradient: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the flat gradient at length 1; None for zero, which has no direction."""
    flat = np.asarray(gradient, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise UsageError("a gradient must be finite everywhere: it has NaN or infinite values")
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0:
        return None
    scaled = flat / largest  # so that squares neither overflow nor vanish
    return scaled / math.sqrt(float(np.einsum("i,i->", scaled, scaled)))
