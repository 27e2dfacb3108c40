"""Picture of verified facts: both parts of the photo as the model saw them, and what it answered to each, twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.jobs.explain.verified import brief
from bbquery.report.scale import reduced
from bbquery.types import Labels, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.jobs.explain.verified import Part, Verified
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

LONGEST_PANEL = 800
"""Pixels: a longer picture is reduced for a panel, to no less than half of this."""

FILLINGS = {"mean": "the photo's mean colour"}
HOW_TO_READ = (
    "Each was asked twice and answered so both times, whatever the map is worth. Pixels are taken in the map's order, "
    "and hidden behind {filling}. Each part is the smallest found in that order; another part may be smaller."
)


def verified_png(verified: Verified, oracle: Capabilities, *, title: str) -> bytes:
    """Return a PNG of the parts that were verified, at least one, side by side as they were asked.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    drawn = [
        tiles.Tile(part.says, _small(part), tuple(_answers(part, oracle)))
        for part in (verified.enough, verified.breaks)
        if part is not None
    ]
    below = [HOW_TO_READ.format(filling=FILLINGS.get(verified.filling, verified.filling))]
    if verified.why:
        below.append(f"Not verified: {verified.why}.")
    return tiles.sheet_png(tiles.Sheet.of(drawn, title=title, below=below))


def _small(part: Part) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return reduced(part.image, part.shown.astype(np.float64), LONGEST_PANEL)[0]


def _answers(part: Part, oracle: Capabilities) -> Iterator[str]:
    """Give a line for each answer."""
    for when, answer in zip(("answered", "again"), part.answers, strict=True):
        yield f"{when}: {brief(answer, oracle)}{_number(answer)}"


def _number(answer: Answer) -> str:
    """Return the number of what an answer names first, and its box; empty where there is none."""
    match answer:
        case Vector(values):
            return f" {values.max():.3g}"
        case Labels((first, *_)) if first.score is not None:
            return f" {first.score:.3g}" + ("" if first.box is None else f" {first.box}")
    return ""
