"""Copies of a photo with something added to each: noise, a direction, a wave.

What an oracle sees is not x + z: on uint8 it is rounded to grey levels and clipped to 0 to 255. An estimator that
divides by the change it *meant* to make is biased wherever that matters, so copies report what was realised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bbquery.perturb.remembered import Remembered
from bbquery.perturb.rendering import as_sent, scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image

Floats: TypeAlias = "type[np.float32 | np.float64]"

Change: TypeAlias = "Callable[[int], NDArray[np.floating[Any]]]"
"""From a row to what is added there, (H, W, 3), or (H, W) to all channels alike. The array may be written over, and is
the row's until the same thread asks for another."""


def precision(domain: Domain) -> Floats:
    """Return what changes are drawn in: float32 for uint8 pixels, which rounding makes coarser anyway, else float64."""
    return np.float32 if domain.dtype == "uint8" else np.float64


class AddedCopies:
    """`rows` copies of x, each with its own change added.

    x: (H, W, 3) in grey levels, taken as `domain` would send it. change: what is added to a row, a function of its
    number alone, in `precision(domain)`.
    """

    def __init__(self, x: Image, domain: Domain, change: Change, *, rows: int) -> None:
        self._dtype = precision(domain)
        self._x: NDArray[np.floating[Any]] = domain.realise(x).astype(self._dtype)
        self._domain, self._change, self._rows = domain, change, rows
        self._sent: Remembered[Image] = Remembered(x.size * np.dtype(domain.dtype).itemsize)

    def __len__(self) -> int:
        """Number of copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype.

        Raises:
            IndexError: there is no such row; rows are not counted from the end.
        """
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        return self._sent(row, self._render).copy()  # who asked may write on theirs

    def _render(self, row: int) -> Image:
        change = self._change(row)
        return as_sent(np.add(change, self._x, out=change), self._domain)

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return what was sent as copy `row` minus x: (H, W, 3), float32 for uint8 pixels (exact), else float64.

        This thread's next one is written to the same array.
        """
        change: NDArray[np.floating[Any]] = scratch("realised", self._x.shape, self._dtype)
        np.subtract(self._sent(row, self._render), self._x, out=change)
        return change
