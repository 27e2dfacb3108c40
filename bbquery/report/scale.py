"""A photo and a map, ready to be drawn: reduced in size, and which value gets which colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from bbquery.errors import UsageError
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are to the eye: ITU-R BT.601."""

PERCENTILE = 99.5
"""Where the colours end, so that a few peaks do not hide the rest."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Which value gets which colour.

    low, high: the values of the first and the last colour. below, above: whether values lie beyond them.
    note: what a person must know of the map, empty where there is nothing. bar: whether there are colours to explain.
    calm: whether the colours are to be quieter than a map's.
    """

    low: float = 0.0
    high: float = 1.0
    below: bool = False
    above: bool = False
    note: str = ""
    bar: bool = True
    calm: bool = False


def reduced(
    photo: NDArray[np.uint8], values: NDArray[np.float64], longest: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return photo and map without a side longer than this, reduced by a whole factor.

    Raises:
        UsageError: photo or values have another shape or type.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise UsageError(f"a photo is (height, width, 3) uint8, not {photo.shape} {photo.dtype}")
    if values.shape != photo.shape[:2]:
        raise UsageError(f"a map of shape {values.shape} does not lie on a photo of {photo.shape[:2]}")
    factor = -(-max(photo.shape) // longest)
    return np.asarray(PIL.Image.fromarray(photo).reduce(factor)), block_means(values, factor)


def sureness(
    values: NDArray[np.float64], half: NDArray[np.float64] | None, stamp: str, longest: int
) -> NDArray[np.float64] | None:
    """Return how sure the sign of a map is, (h, w), 0 to 1, reduced like the map; None where nothing is known of it.

    half: (H, W), the half width of the interval of `values`; None without one. It is 1 where the interval excludes 0
    and 0 elsewhere, in a reduced map their mean. Of a map with a stamp it is 0 everywhere.
    """
    if half is None and not stamp:
        return None
    sure = np.zeros(values.shape) if half is None or stamp else (np.abs(values) > half).astype(np.float64)
    return block_means(sure, -(-max(values.shape) // longest))


@one_blas_thread
def in_grey(photo: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a photo (H, W, 3) without its colours, (H, W, 3) in grey levels."""
    return np.repeat((photo @ np.array(LUMA))[:, :, None], 3, axis=2)


def scale(values: NDArray[np.float64], *, signed: bool) -> Scale:
    """Return the scale of a map of any shape; only finite values count."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Scale(note="the map has no value anywhere", bar=False)
    low, high = float(finite.min()), float(finite.max())
    note = f"the map is constant: every value is {low:.3g}" if low == high else ""
    if signed:
        end = float(np.percentile(np.abs(finite), PERCENTILE)) or max(-low, high) or 1.0
        return Scale(low=-end, high=end, below=low < -end, above=high > end, note=note, bar=low < 0 or high > 0)
    if low == high:
        return Scale(low=low, high=low + max(1.0, abs(low)), note=note, bar=False)
    first, last = (float(end) for end in np.percentile(finite, (100 - PERCENTILE, PERCENTILE)))
    if first == last:  # hardly any value differs from the rest
        first, last = low, high
    return Scale(low=first, high=last, below=low < first, above=high > last)


def block_means(values: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Return the means of `values` (H, W) over blocks of factor × factor, cut off at the far edges, without its NaN.

    A block with nothing but NaN is NaN. The blocks are those of Pillow's `Image.reduce`.
    """
    if factor == 1:
        return values
    height, width = values.shape
    known = np.isfinite(values)
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    sums, counts = (
        np.add.reduceat(np.add.reduceat(part, rows, axis=0), columns, axis=1)
        for part in (np.where(known, values, 0.0), known.astype(np.float64))
    )
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
