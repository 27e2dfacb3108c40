"""Photos of a montage, as an oracle is sent them.

Each photo is brought by `fit` to one cell, with the oracle's own crop, so that all cells together are as large
as what the oracle is sent of the photo alone.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.ledger import codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.reading import Source
    from bbquery.oracle import Capabilities
    from bbquery.types import Image


@dataclass(frozen=True, eq=False, repr=False)
class Photo:
    """A photo (H, W, 3) uint8, and where it is from. It is shown by its digest, so that a run's identity is short."""

    source: str
    pixels: NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"Photo({self.source!r}, {codec.image_digest(self.pixels).hex()})"


def load(source: Source) -> Photo:
    """Read a photo.

    Raises:
        BadImage: it cannot be used. UnknownName, MissingExtra: no such sample, or no samples at all.
    """
    pixels = reading.load(source)
    return Photo(os.fspath(source) if isinstance(source, str | os.PathLike) else "array", pixels)


def cells(photos: Sequence[NDArray[np.uint8]], shape: tuple[int, ...], capabilities: Capabilities) -> list[Image]:
    """Return photos (H, W, 3), 4 or 9 of them, each as large as its cell of a montage of them all.

    shape: of what the oracle is sent of a photo alone, and of the montage, but for what does not divide evenly.

    Raises:
        UsageError: the oracle takes one size, which does not divide evenly.
    """
    n, view = math.isqrt(len(photos)), capabilities.view
    if view.size is not None and (shape[0] % n or shape[1] % n):
        raise UsageError(
            f"{capabilities.name} is sent {shape[0]} × {shape[1]} pixels, which {n} × {n} photos do not divide "
            "evenly: give 3 others for a montage of 4"
        )
    cell = replace(view, size=(shape[0] // n, shape[1] // n))
    return [fit(photo, cell, capabilities.domain)[0] for photo in photos]
