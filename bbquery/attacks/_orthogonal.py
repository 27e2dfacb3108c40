"""Directions made orthogonal to the last ones before them (Gram-Schmidt), several at a time.

A hundred directions of a photo of 224 × 224 fill 30 MB, more than a processor's cache. What takes time is to read them,
so each piece of them is read once for several new directions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PIECE = 1024  # values


class Orthogonal:
    """Remembers directions of so many values. last: to how many before it each one is orthogonal."""

    def __init__(self, last: int, values: int) -> None:
        self._kept = np.zeros((last, values), np.float32)
        self._number = 0

    def take(self, directions: NDArray[np.float32]) -> None:
        """Make directions (n, values), n at most `last`, orthogonal, of length 1, and remember them.

        They are written over. Zeros stay zeros.
        """
        places = np.arange(self._number, self._number + len(directions)) % len(self._kept)
        known = self._kept[: self._number]
        shares = np.zeros((len(directions), len(self._kept)), np.float32)
        for piece in _pieces(directions):
            shares[:, : len(known)] += directions[:, piece] @ known[:, piece].T
        for row in range(len(directions)):
            shares[row, places[:row]] = 0  # these are not among the last any more
        for piece in _pieces(directions):
            directions[:, piece] -= shares[:, : len(known)] @ known[:, piece]
        for row in range(len(directions)):
            before, direction = directions[:row], directions[row]
            direction -= (before @ direction) @ before
            direction /= math.sqrt(float(direction @ direction)) or 1.0
        self._kept[places] = directions
        self._number += len(directions)


def _pieces(directions: NDArray[np.float32]) -> Iterator[slice]:
    """Return the places of all values, piece by piece."""
    for first in range(0, directions.shape[1], PIECE):
        yield slice(first, first + PIECE)
