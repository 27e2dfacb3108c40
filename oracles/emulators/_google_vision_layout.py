"""Layout of texts on an image: where the lines are, and where the words of each."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from bbquery.images.boxes import Box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def lines(own: Sequence[Box | None], outline: Box) -> list[Box]:
    """Return the place of each line: its own, or an equal share of the outline, from the top."""
    left, top, right, bottom = outline
    height = (bottom - top) / len(own)
    shares = [Box(left, top + i * height, right, top + (i + 1) * height) for i in range(len(own))]
    return [box or share for box, share in zip(own, shares, strict=True)]


def words(line: str, place: Box) -> Iterator[tuple[str, Box]]:
    """Yield the words of a line that fills a place, each with its place: all characters are equally wide."""
    found = line.split()
    width = (place.right - place.left) / max(1, len(" ".join(found)))
    starts = accumulate((len(word) + 1 for word in found), initial=0)
    for word, start in zip(found, starts, strict=False):
        left = place.left + start * width
        yield word, Box(left, place.top, left + len(word) * width, place.bottom)
