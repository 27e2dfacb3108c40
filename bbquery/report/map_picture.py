"""Picture of an explained map, in every size: `NAME.png`, thumbnails, notebooks and pages show the same colours.

Places whose 90 % interval includes 0 are pale where the method knows errors, and a map that is no evidence is pale
everywhere and stamped. The box of a target that is one object is outlined. Sentences are those of
`bbquery.report.sentence`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.jobs.explain.findings import decided
from bbquery.jobs.percent import percent
from bbquery.report import sentence
from bbquery.report.outline import outlined
from bbquery.report.overlay import overlaid, overlay_png
from bbquery.report.scale import reduced, scale, sureness
from bbquery.specification import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.report.tiles import Tile

LONGEST_PANEL = 600
"""Pixels: a longer photo is reduced for a panel of a sheet, to no less than half of this."""

HOW_TO_READ = (
    "Each map has colours and a unit of its own. Pale places could be chance: the 90 % interval of their value "
    "includes 0. A map that is no evidence is pale everywhere and stamped; the more maps, the more must stand out."
)


def map_png(explanation: Explanation, m: TargetMap) -> bytes:
    """Return a PNG of the photo and the map on it, with what is seen, what the model said, and what a value is.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return overlay_png(
        explanation.photo,
        m.values,
        signed=m.sent.signed,
        title=sentence.caption(explanation, m),
        caption=below_photo(explanation),
        unit=sentence.plain_unit(m),
        half=m.half_width,
        stamp=sentence.stamp(explanation, m),
        box=box_of(explanation, m),
    )


def map_pixels(explanation: Explanation, m: TargetMap, longest: int) -> NDArray[np.uint8]:
    """Return the map on the photo, (h, w, 3) uint8, no side longer than `longest`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return overlaid(
        explanation.photo, m.values, signed=m.sent.signed, longest=longest, half=m.half_width,
        stamp=sentence.stamp(explanation, m), box=box_of(explanation, m),
    )  # fmt: skip


def map_tile(explanation: Explanation, m: TargetMap, heading: str, lines: Sequence[str], longest: int) -> Tile:
    """Return the map on the photo as one picture of several. lines: below it. longest: of its sides, in pixels.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    tiles = _tiles()
    stamp = sentence.stamp(explanation, m)
    small, means = reduced(explanation.photo, m.values, longest)
    sure = sureness(m.values, m.half_width, stamp, longest)
    unsaid = ["this method does not say how sure it is"] if m.half_width is None and not stamp else []
    tile: Tile = tiles.map_tile(
        heading, small, means, scale(m.values, signed=m.sent.signed), signed=m.sent.signed, lines=[*lines, *unsaid],
        sure=sure, stamp=stamp,
    )  # fmt: skip
    return replace(tile, pixels=outlined(tile.pixels, box_of(explanation, m)))


def sheet_png(explanation: Explanation) -> bytes:
    """Return one PNG of the photo and all maps, each with its target, what the whole photo scored, and how sure it is.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    tiles = _tiles()
    photo = reduced(explanation.photo, np.zeros(explanation.photo.shape[:2]), LONGEST_PANEL)[0]
    drawn = [tiles.Tile("photo", photo, (explanation.oracle.name,))]
    drawn += [
        map_tile(explanation, m, sentence.named(m), [*_lines(explanation, m)], LONGEST_PANEL) for m in explanation.maps
    ]
    title = f"{len(explanation.maps)} targets, one photo. {sentence.effort(explanation, explanation.maps[0])}"
    png: bytes = tiles.sheet_png(tiles.Sheet.of(drawn, title=title, below=[HOW_TO_READ, below_photo(explanation)]))
    return png


def _lines(explanation: Explanation, m: TargetMap) -> Iterator[str]:
    """Give what stands below a map among several."""
    yield f"whole photo: {sentence.value_on_photo(explanation, m)}"
    yield sentence.plain_unit(m)
    if m.half_width is not None and not sentence.stamp(explanation, m):
        yield f"sure of its sign: {percent(decided(m.sent))} of it (90 % interval)"


def _tiles() -> ModuleType:
    try:
        from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing maps", "matplotlib") from error
    return tiles


def box_of(explanation: Explanation, m: TargetMap) -> Box | None:
    """Return the box of a target that is one object, in shares of the photo; None of any other."""
    found = m.score.about.object
    return None if found is None else explanation.placement.box_on_photo(found.box)


def below_photo(explanation: Explanation) -> str:
    """Return what stands below the photo: the model's first answer to it, the method and the model."""
    made = f"Method: {type_name(explanation.method)}. Model: {explanation.oracle.name}."
    first = sentence.ended(f"The model's first answer to the whole photo: {sentence.first_answer(explanation)}")
    return f"{first} {made}"
