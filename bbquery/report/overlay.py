"""A map drawn on its photo, as a PNG: what it shows is decided here, how it is drawn in `bbquery.report.figure`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from bbquery.errors import MissingExtra, UsageError
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

LONGEST_SIDE = 1600
"""Pixels: a longer photo is reduced for display, to no less than half of this."""

LONGEST_THUMBNAIL = 240
"""Pixels: likewise of a thumbnail."""

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are to the eye: ITU-R BT.601."""

PERCENTILE = 99.5
"""Where the colours end, so that a few peaks do not hide the rest."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Which value gets which colour.

    low, high: the values of the first and the last colour. below, above: whether values lie beyond them.
    note: what a person must know of the map, empty where there is nothing. bar: whether there are colours to explain.
    """

    low: float = 0.0
    high: float = 1.0
    below: bool = False
    above: bool = False
    note: str = ""
    bar: bool = True


def overlay_png(
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    *,
    signed: bool,
    title: str,
    caption: str,
    unit: str,
) -> bytes:
    """Return a PNG of the photo and, beside it (below it for a wide photo), the map on the photo in grey.

    photo: (H, W, 3) uint8. values: (H, W) float64, NaN where the model was not shown the photo, which is drawn faded
    and hatched. unit: what a value is, for the colour bar.

    A signed map runs from blue (against the target) over nothing (0) to red (for it), symmetric about 0 up to the
    99.5th percentile of the absolute values. An unsigned map runs from nothing to bright yellow between its 0.5th and
    99.5th percentiles. Both scales tell their sides apart without red-green vision. Stronger values cover more of the
    photo. A map without a value or with one value only is drawn and says so. Equal input gives equal bytes on one
    installation.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageError: photo or values have another shape or type.
    """
    figure = _figure()
    small, means = reduced(photo, values, LONGEST_SIDE)
    colours = scale(values, signed=signed)
    png: bytes = figure.draw(small, means, scale=colours, signed=signed, title=title, caption=caption, unit=unit)
    return png


def thumbnail_jpeg(
    photo: NDArray[np.uint8], values: NDArray[np.float64] | None = None, *, signed: bool = True
) -> bytes:
    """Return a small JPEG of a photo, or of a map on the photo in grey; see `overlay_png`, colours as there.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageError: photo or values have another shape or type.
    """
    figure = _figure()
    known = np.zeros(photo.shape[:2]) if values is None else values
    shown, means = reduced(photo, known, LONGEST_THUMBNAIL)
    if values is not None:
        shown = figure.blend(shown, means, scale(values, signed=signed), signed=signed)
    buffer = io.BytesIO()
    PIL.Image.fromarray(shown).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _figure() -> ModuleType:
    try:
        from bbquery.report import figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    return figure


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
