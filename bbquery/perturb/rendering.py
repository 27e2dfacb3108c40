"""Rendering of computed pixels into the pixels that are sent, without temporary copies of whole photos.

Allocating a float photo for every row costs more than all that is computed on it: allocators return memory of that size
to the system at once, which hands it out again page by page. So each thread keeps a few arrays.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image


Float = TypeVar("Float", bound=np.floating[Any])

_of_thread = threading.local()


def scratch(use: str, shape: tuple[int, ...], dtype: type[Float]) -> NDArray[Float]:
    """Return an uninitialised array of this thread, valid until the thread asks for the same use again."""
    kept: dict[str, NDArray[Float]] = _of_thread.__dict__
    found = kept.get(use)
    if found is None or found.shape != shape or found.dtype != dtype:
        found = kept[use] = np.empty(shape, dtype)
    return found


def blended(
    mask: NDArray[np.floating[Any]], contrast: NDArray[np.floating[Any]], filling: Any, domain: Domain
) -> Image:
    """Return filling + mask × contrast as it is sent: what is visible of a photo, and a filling behind the rest.

    mask: (H, W), 0 to 1. contrast: the photo minus the filling, (H, W, 3). filling: of that shape, or one grey level.
    """
    pixels = scratch("pixels", contrast.shape, contrast.dtype.type)
    for channel in range(pixels.shape[-1]):  # faster than broadcasting over so short an axis
        pixels[..., channel] = mask
    pixels *= contrast
    pixels += filling
    return as_sent(pixels, domain)


def as_sent(pixels: NDArray[np.floating[Any]], domain: Domain) -> Image:
    """Return `domain.realise(pixels)`, to the bit and in an array of its own. What `pixels` held is written over."""
    if domain.dtype != "uint8":
        return domain.realise(pixels.copy())
    np.rint(pixels, out=pixels)
    np.clip(pixels, 0, 255, out=pixels)
    image: Image = pixels.astype(np.uint8)
    return image
