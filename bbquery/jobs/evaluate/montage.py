"""A photo in a montage with others, as an oracle is sent it: the grid pointing game's picture.

Each photo is brought by `fit` to one cell, with the oracle's own crop, so that all cells together are as large
as what the oracle is sent of the photo alone. The photo whose map is judged has the first cell, at the top left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.ledger import codec
from bbquery.metrics.grid_pointing import montage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.evaluate.provenance import Making
    from bbquery.oracle import Capabilities
    from bbquery.plan import Plan
    from bbquery.types import Image, SaliencyMap

CELL = 0
"""Of the photo whose map is judged."""

SIZES = (4, 9)
"""How many photos a montage has."""


@dataclass(frozen=True, eq=False, repr=False)
class Photo:
    """A photo (H, W, 3) uint8, and where it is from. It is shown by its digest, so that a run's identity is short."""

    source: str
    pixels: NDArray[np.uint8]

    def __repr__(self) -> str:
        return f"Photo({self.source!r}, {codec.image_digest(self.pixels).hex()})"


def load(source: str) -> Photo:
    """Read a photo from a path or "sample:NAME".

    Raises:
        BadImage: it cannot be used. UnknownName, MissingExtra: no such sample, or no samples at all.
    """
    return Photo(source, reading.load(source))


@dataclass(frozen=True, kw_only=True)
class InMontage:
    """Explain a montage by the method that made the map. others: 3 or 8 photos, beside the map's own.

    Raises:
        UsageError: another number of photos.
    """

    made: Making
    others: tuple[Photo, ...]

    def __post_init__(self) -> None:
        if self.cells not in SIZES:
            raise UsageError(f"a montage has 4 photos or 9, so give 3 others or 8, not {len(self.others)}")

    @property
    def cells(self) -> int:
        """How many photos the montage has."""
        return len(self.others) + 1

    @property
    def queries(self) -> int:
        """How many rows it asks."""
        return self.made.method.queries

    def plan_of(self, photo: NDArray[np.uint8], x: Image, capabilities: Capabilities) -> Plan[SaliencyMap]:
        """Ask all that the method asks of the montage of a photo and the others; return the map of what was sent.

        x: what the oracle is sent of the photo alone.
        """
        whole = self._whole([photo, *(other.pixels for other in self.others)], x.shape, capabilities)
        return self.made.method.plan(whole, capabilities.domain, self.made.seed)

    def _whole(self, photos: Sequence[NDArray[np.uint8]], shape: tuple[Any, ...], capabilities: Capabilities) -> Image:
        n = math.isqrt(self.cells)
        view = capabilities.view
        if view.size is not None and (shape[0] % n or shape[1] % n):
            raise UsageError(
                f"{capabilities.name} is sent {shape[0]} × {shape[1]} pixels, which {n} × {n} photos do not divide "
                "evenly: give 3 others for a montage of 4"
            )
        cell = replace(view, size=(shape[0] // n, shape[1] // n))
        return montage([fit(photo, cell, capabilities.domain)[0] for photo in photos])
