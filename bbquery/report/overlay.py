"""A map drawn on its photo, as a PNG or as pixels. Without matplotlib it says what to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra
from bbquery.report.outline import outlined
from bbquery.report.scale import reduced, scale, sureness
from bbquery.report.stamp import stamped

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.boxes import Box

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
    half: NDArray[np.float64] | None = None,
    stamp: str = "",
    box: Box | None = None,
) -> bytes:
    """Return a PNG of the photo and, beside it (below it for a wide photo), the map on the photo in grey.

    photo: (H, W, 3) uint8. values: (H, W) float64, NaN where the model was not shown the photo, which is drawn faded
    and hatched. unit: what a value is, for the colour bar. half: (H, W), the half width of the values' interval; what
    lies within it of 0 is paler. stamp: what is written across a map that must not be believed; all of that is pale.
    box: what is outlined on photo and map, in shares of the photo.

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
    colours, sure = scale(values, signed=signed), sureness(values, half, stamp, LONGEST_SIDE)
    png: bytes = figure.draw(
        small,
        means,
        scale=colours,
        signed=signed,
        title=title,
        caption=caption,
        unit=unit,
        sure=sure,
        stamp=stamp,
        box=box,
    )
    return png


def overlaid(
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    *,
    signed: bool,
    longest: int,
    half: NDArray[np.float64] | None = None,
    stamp: str = "",
    box: Box | None = None,
) -> NDArray[np.uint8]:
    """Return the pixels of a map on the photo in grey, (h, w, 3), no side longer than `longest`; see `overlay_png`.

    Raises:
        MissingExtra: matplotlib is not installed.
        UsageError: photo or values have another shape or type.
    """
    figure = _figure()
    small, means = reduced(photo, values, longest)
    sure = sureness(values, half, stamp, longest)
    mixed: NDArray[np.uint8] = figure.blend(small, means, scale(values, signed=signed), signed=signed, sure=sure)
    return outlined(stamped(mixed, stamp) if stamp else mixed, box)


def _figure() -> ModuleType:
    try:
        from bbquery.report import figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    return figure
