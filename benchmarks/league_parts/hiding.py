"""Copies of a photo whose cells are hidden by grey, wholly or in part, for methods that are not bbquery's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

GREY = 127.0


class Copies:
    """Copies of x (H, W, 3), rendered when indexed.

    cells: the cell of each pixel, (H, W). shown: how much of each cell, (n, cells), 0 to 1.
    """

    def __init__(self, x: Image, cells: NDArray[np.int64], shown: NDArray[np.floating] | NDArray[np.bool_]) -> None:
        self._x, self._cells, self._shown = x, cells, np.asarray(shown, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, row: int, /) -> Image:
        share = self._shown[row][self._cells][..., None]
        copy: Image = np.rint(GREY + share * (self._x - np.float32(GREY))).astype(np.uint8)
        return copy


def grid(size: tuple[int, ...], side: int) -> NDArray[np.int64]:
    """Return the cell of each pixel (H, W) in a grid of side × side equal cells, row by row."""
    rows, columns = (np.arange(length) * side // length for length in size[:2])
    found: NDArray[np.int64] = rows[:, None] * side + columns
    return found


def enlarged(values: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Return values of a grid's cells (side²,) as a map (H, W), bicubic between their centres."""
    side = round(len(values) ** 0.5)
    picture = Pillow.fromarray(values.reshape(side, side).astype(np.float32), mode="F")
    return np.asarray(picture.resize((size[1], size[0]), Pillow.Resampling.BICUBIC), dtype=np.float64)
