"""The stages of one map as a PNG: after 32, 64, 128 … queries and at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra
from bbquery.report.overlay import LONGEST_THUMBNAIL
from bbquery.report.scale import reduced, scale, sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.explain.progress import Stage

LONGEST_PANEL = 2 * LONGEST_THUMBNAIL
"""Pixels: a longer photo is reduced for a panel, to no less than half of this."""

HOW_TO_READ = (
    "Each panel has colours of its own, since maps of few queries differ in size. The rank correlation is with the "
    "last map: 1 means that all pixels are in the same order."
)
PALE = "Paler places could be chance after so many queries: the 90 % interval includes 0."


def progress_png(photo: NDArray[np.uint8], stages: Sequence[Stage], *, title: str, unit: str, stamp: str = "") -> bytes:
    """Return a PNG of the stages of a map on its photo (H, W, 3) uint8, with their correlation to the last one.

    stamp: what is written across the last map, where it must not be believed; all stages are pale then. Equal input
    gives equal bytes on one installation.

    Raises:
        MissingExtra: matplotlib is not installed. UsageError: photo or values have another shape or type.
    """
    try:
        from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    drawn = []
    for place, stage in enumerate(stages):
        small, means = reduced(photo, stage.values, LONGEST_PANEL)
        colours = scale(stage.values, signed=stage.signed)
        sure = sureness(stage.values, stage.half, stamp, LONGEST_PANEL)
        last = place == len(stages) - 1
        lines = () if last else (correlated(stage.correlation),)
        counted = "1 query" if stage.queries == 1 else f"{stage.queries:,} queries"
        heading = counted + (", the end" if last and place else "")
        drawn.append(
            tiles.map_tile(
                heading, small, means, colours, signed=stage.signed, lines=lines, sure=sure, stamp=stamp if last else ""
            )
        )
    faded = [PALE] if any(stage.half is not None for stage in stages) else []
    below = (f"Values: {unit}.", HOW_TO_READ, *faded)
    return tiles.sheet_png(tiles.Sheet.of(drawn, title=title, below=below))


def correlated(correlation: float) -> str:
    """Return a rank correlation in words."""
    return "rank correlation unknown" if math.isnan(correlation) else f"rank correlation {correlation:z.2f}"
