"""Picture of where a map is sure of its sign: what its 90 % interval excludes, and how wide the interval is.

It stands beside the map and is quieter: no colour of it is more saturated than the map's strongest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra, UsageError
from bbquery.jobs.percent import percent
from bbquery.report.scale import Scale, in_grey, reduced, scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PANEL = 800
"""Pixels: a longer photo is reduced for a panel, to no less than half of this."""


FOR, AGAINST = (178, 24, 43), (67, 147, 195)  # ColorBrewer's RdBu: the red is the darker of the two
OPACITY, STAMPED = 0.4, 0.22  # of a sign's colour, and of that of a map which could be chance all over
PALE = 0.6  # of the photo where no sign is known

HOW_TO_READ = (
    "Left: coloured where the map's sign is known, since the 90 % interval excludes 0; grey where it could be chance, "
    "pale on the map. Of places without any effect one in ten is coloured by chance, and neighbours together: islands "
    "mean little, regions much. Right: how far a value may be off either way; the stronger, the less it is known."
)


def interval_png(
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    half: NDArray[np.float64],
    *,
    title: str,
    unit: str,
    stamp: str = "",
) -> bytes:
    """Return a PNG of where a map's interval excludes 0 and, beside it, of the interval's half width.

    photo: (H, W, 3) uint8. values, half: float64 (H, W), the map and the half width of its 90 % interval, in `unit`;
    NaN where the model was not shown the photo. Red is for the target, blue against it; the two differ in lightness
    too, so that they are told apart without red-green vision and in grey. stamp: what is written across the signs of a
    map that must not be believed, which are paler then. Equal input gives equal bytes on one installation.

    Raises:
        MissingExtra: matplotlib is not installed. UsageError: photo, values or half have another shape or type.
    """
    try:
        from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    if half.shape != values.shape:
        raise UsageError(f"an interval of shape {half.shape} is not of a map of shape {values.shape}")
    small, means = reduced(photo, values, LONGEST_PANEL)
    halves = reduced(photo, half, LONGEST_PANEL)[1]
    width = _from_zero(half)
    coloured = signs(small, means, halves, opacity=STAMPED if stamp else OPACITY)
    known = np.isfinite(means)
    sure = tiles.Tile("where its sign is known", coloured, shares(values, half), known, stamp=stamp)
    wide = tiles.map_tile(
        "how far a value may be off (90 % interval)", small, halves, width, signed=False, lines=(f"a value: {unit}",)
    )
    return tiles.sheet_png(tiles.Sheet.of([sure, wide], title=title, below=(HOW_TO_READ,)))


def _from_zero(half: NDArray[np.float64]) -> Scale:
    """Return a scale from 0 on, so that widths that hardly differ look alike."""
    found = scale(half, signed=False)
    high = max(found.high, 0.0) if found.bar else float(np.max(half, initial=0.0, where=np.isfinite(half)))
    note = found.note.replace("the map is constant: every value is", "the same everywhere:")
    return Scale(high=high or 1.0, above=found.above, note=note, bar=bool(np.isfinite(half).any()), calm=True)


def signs(
    photo: NDArray[np.uint8], values: NDArray[np.float64], half: NDArray[np.float64], *, opacity: float = OPACITY
) -> NDArray[np.uint8]:
    """Return the photo in grey, veiled, and coloured where a value lies further from 0 than `half`; all (H, W), RGB."""
    grey = in_grey(photo)
    pale = 255 - PALE * (255 - grey)
    pixels = np.where(np.isfinite(values)[:, :, None], pale, 255 - 0.3 * (255 - grey))
    for beyond, colour in ((values > half, FOR), (values < -half, AGAINST)):
        tinted = (1 - opacity) * grey + opacity * np.array(colour)
        pixels = np.where(beyond[:, :, None], tinted, pixels)
    found: NDArray[np.uint8] = np.rint(pixels).astype(np.uint8)
    return found


def shares(values: NDArray[np.float64], half: NDArray[np.float64]) -> tuple[str, ...]:
    """Return in words how much of a map is for the target, against it, and undecided."""
    known = np.isfinite(values) & np.isfinite(half)
    if not known.any():
        return ("the map has no value anywhere",)
    favour, against = (float((side[known] > half[known]).mean()) for side in (values, -values))
    return (
        f"red, for the target: {percent(favour)}",
        f"blue, against the target: {percent(against)}",
        f"grey, could be chance: {percent(max(1 - favour - against, 0))}",
    )
