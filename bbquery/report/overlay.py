"""A map drawn on its photo, as a PNG or a small JPEG. Without matplotlib it says what to install."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from bbquery.errors import MissingExtra
from bbquery.report.scale import reduced, scale

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

LONGEST_SIDE = 1600
"""Pixels: a longer photo is reduced for display, to no less than half of this."""

LONGEST_THUMBNAIL = 240
"""Pixels: likewise of a thumbnail."""


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
