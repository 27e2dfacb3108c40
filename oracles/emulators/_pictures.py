"""Pictures that a client sends: judged by their header, decoded only if they are no larger than a photo may be."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from bbquery.images import reading

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TooLarge(Exception):
    """A picture with more pixels than are read."""


def decoded(content: bytes, formats: tuple[str, ...] = reading.FORMATS) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) pixels of a picture.

    Raises:
        TooLarge: it has more pixels than are read. Exception: nearly any, on hostile bytes.
    """
    with Pillow.open(io.BytesIO(content), formats=formats) as picture:
        if picture.width * picture.height > reading.MOST_PIXELS:
            size = f"{picture.width} × {picture.height} pixels"
            raise TooLarge(f"the image has {size}, and {reading.MOST_PIXELS / 1e6:g} megapixels are read at most")
        return np.array(picture.convert("RGB"))
