"""Whether a change survives what a model's own preprocessing may do to it: compression, resizing, cropping, rounding.

What was found is asked again under each, and the clean image beside it: a treatment under which that loses its label
too says nothing of the change. All treatments keep the size, so that the same oracle takes them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import PIL.Image

from bbquery.errors import UsageError
from bbquery.jobs.attack import votes
from bbquery.plan import Ask
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bbquery.client.client import Client
    from bbquery.jobs.attack.votes import Votes
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Image

CROPPED: Final = 7 / 8  # of each side is left: 224 of 256, as most classifiers do
LEVELS: Final = 2  # grey levels that become one


def _jpeg(image: Image, quality: int) -> Image:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "jpeg", quality=quality)
    with PIL.Image.open(buffer) as decoded:
        return np.array(decoded.convert("RGB"))


def _resized(image: Image, share: float) -> Image:
    """Shrink both sides to a share, and enlarge them again."""
    height, width = image.shape[:2]
    small = (max(1, round(width * share)), max(1, round(height * share)))
    shrunk = PIL.Image.fromarray(image).resize(small, PIL.Image.Resampling.BILINEAR)
    return np.array(shrunk.resize((width, height), PIL.Image.Resampling.BILINEAR))


def _cropped(image: Image) -> Image:
    """Take the middle, and enlarge it to the whole."""
    height, width = image.shape[:2]
    down, across = height * (1 - CROPPED) / 2, width * (1 - CROPPED) / 2
    box = (across, down, width - across, height - down)
    return np.array(PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.BILINEAR, box=box))


def _requantised(image: Image) -> Image:
    rounded: Image = image - image % LEVELS
    return rounded


TREATMENTS: Final[Mapping[str, Callable[[Image], Image]]] = {
    **{f"JPEG at quality {quality}": partial(_jpeg, quality=quality) for quality in (95, 75, 50)},
    **{f"resized to {share:g} and back": partial(_resized, share=share) for share in (0.875, 0.75, 0.5)},
    "centre crop of 0.875": _cropped,
    "one bit less": _requantised,
}
"""What is done to an image (H, W, 3) uint8, by name."""

LEAST: Final = 2 * len(TREATMENTS)
"""Queries that ask both images under each treatment once."""


@dataclass(frozen=True)
class Treated:
    """Votes under one treatment. found: of the image that was found: `left` where it still reaches the goal."""

    treatment: str
    found: Votes
    clean: Votes

    @property
    def tells(self) -> bool:
        """Whether it says something of the change: the clean image stays what it was."""
        return self.clean.majority == Decision.MET

    @property
    def survived(self) -> bool:
        """Whether what was found still reaches the goal, by most answers."""
        return self.found.majority == Decision.NOT_MET


def check(queries: int) -> int:
    """Return how many of so many queries are asked: a whole number of rounds; 0 for none.

    Raises:
        UsageError: fewer than one round takes.
    """
    if 0 < queries < LEAST:
        raise UsageError(
            f"--check-preprocessing {queries}: both images under {len(TREATMENTS)} treatments take {LEAST} queries; "
            "give at least so many, or 0"
        )
    return queries - queries % LEAST


async def treated(client: Client, clean: Image, found: Image, bound: BoundScore, queries: int) -> tuple[Treated, ...]:
    """Ask both images under each treatment, as often as so many queries allow."""
    images = np.stack([treat(image) for treat in TREATMENTS.values() for image in (found, clean)])
    replies = await client.ask(Ask(images, repeat=queries // LEAST))
    counted = [votes.count(bound, row) for row in replies]
    pairs = zip(TREATMENTS, counted[::2], counted[1::2], strict=True)
    return tuple(Treated(treatment, of_found, of_clean) for treatment, of_found, of_clean in pairs)
