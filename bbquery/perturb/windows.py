"""Copies of a photo, each with one rectangle of it hidden.

A window is a row (top, left, bottom, right) in pixels, from edge to edge: (0, 0, H, W) is the whole photo. Edges may
lie within pixels, and a pixel is hidden to the share of it that is covered, so that windows that differ are different
questions on a small photo too. A window of no size hides nothing: it is the photo itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image

NOTHING_HIDDEN = np.zeros((1, 4))
"""The window of no size."""


class HiddenWindows:
    """Copies of x (H, W, 3), each with its window hidden behind `filled`, of the same shape; rendered on demand.

    windows: (n, 4), in pixels; what lies outside the photo hides nothing.
    """

    def __init__(self, x: Image, windows: NDArray[np.float64], domain: Domain, filled: NDArray[np.float64]) -> None:
        is_sent_so = x.dtype == np.dtype(domain.dtype)  # then rounding it would change nothing, and take its time
        self._x = x if is_sent_so else domain.realise(x)
        self._windows, self._domain, self._filled = windows, domain, filled

    def __len__(self) -> int:
        """Number of copies."""
        return len(self._windows)

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype.

        Raises:
            IndexError: there is no such row; rows are not counted from the end.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        copy = self._x.copy()
        where, hidden = covered(self._windows[row], (copy.shape[0], copy.shape[1]))
        seen = copy[where].astype(np.float64)
        copy[where] = self._domain.realise(seen + hidden[..., None] * (self._filled[where] - seen))
        return copy


def covered(window: NDArray[np.float64], size: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Return where a window (4,) touches a photo of this height and width, and the share of each pixel it covers."""
    (down, tall), (across, wide) = _axis(window[0], window[2], size[0]), _axis(window[1], window[3], size[1])
    return (down, across), tall[:, None] * wide


def _axis(start: float, stop: float, pixels: int) -> tuple[slice, NDArray[np.float64]]:
    start, stop = float(np.clip(start, 0, pixels)), float(np.clip(stop, 0, pixels))
    first, last = int(np.floor(start)), int(np.ceil(stop))
    edge = np.arange(first, last)
    return slice(first, last), np.minimum(stop, edge + 1) - np.maximum(start, edge)


def hidden_shares(windows: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return which share, 0 to 1, of a photo of this height and width each window (n, 4) hides: (n,)."""
    sides = np.clip(windows[:, 2:], 0, size) - np.clip(windows[:, :2], 0, size)
    shares: NDArray[np.float64] = sides.prod(axis=1) / (size[0] * size[1])
    return shares


def squares(centres: NDArray[np.float64], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square windows (n, 4) around centres (n, 2), down and across, with these sides (n,), all in pixels."""
    half = sides[:, None] / 2
    return np.hstack([centres - half, centres + half])
