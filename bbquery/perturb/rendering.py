"""From computed pixels to what is sent, without copies of whole photos on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image


def sent(pixels: NDArray[np.floating[Any]], domain: Domain) -> Image:
    """Return `domain.realise(pixels)`, to the bit, of an array that nobody needs any more: it is written over."""
    if domain.dtype != "uint8":
        return domain.realise(pixels)
    np.rint(pixels, out=pixels)
    np.clip(pixels, 0, 255, out=pixels)
    image: Image = pixels.astype(np.uint8)
    return image
