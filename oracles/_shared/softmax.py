"""Logits to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities in float64, in which one near 1 can still change by less than 6e-8."""
    shifted = logits.astype(np.float64) - logits.max()
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum())
