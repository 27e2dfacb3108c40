"""Images on the wire: base64 PNG in JSON, packed once per image as the body of a request for it alone."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.png import png
from oracles._http.wire.fields import WireError, is_strings, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.types import Image

ENCODER = "png"
HEAD, TAIL = b'{"images":[', b"]}"


def pack_image(image: Image) -> bytes:
    """Return the body of a request for a uint8 (H, W, 3) RGB image: JSON that holds a base64 PNG.

    Raises:
        UsageError: it is no such image.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UsageError(f"only uint8 (H, W, 3) images travel, not {image.dtype} {image.shape}")
    return b"".join((HEAD, b'"', base64.b64encode(png(image)), b'"', TAIL))


def unpack_image(packed: str) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) pixels of a base64 PNG.

    Raises:
        WireError: it is not base64, not a PNG, or not 8-bit RGB.
    """
    try:
        with Pillow.open(io.BytesIO(base64.b64decode(packed, validate=True)), formats=["PNG"]) as picture:
            _refuse_large(picture.width, picture.height)
            mode, pixels = picture.mode, np.array(picture)
    except WireError:
        raise
    except Exception as error:  # hostile bytes make a decoder raise nearly anything
        raise WireError(f"not a base64 PNG ({type(error).__name__})") from error
    if mode != "RGB":
        raise WireError(f"a PNG of mode {mode}: send 8-bit RGB")
    return pixels


def _refuse_large(width: int, height: int) -> None:
    if width * height > reading.MOST_PIXELS:
        most = f"{reading.MOST_PIXELS / 1e6:g} megapixels"
        raise WireError(f"a PNG of {width} × {height} pixels: send at most {most}")


def join_images(packed: Sequence[bytes]) -> bytes:
    """Return the body of a request for these packed images: nothing is escaped or encoded again.

    One image's is ready: most vendors take one at a time, and copying it would cost more than all else that is done.
    """
    if len(packed) == 1:
        return packed[0]
    return b"".join((HEAD, b",".join(memoryview(body)[len(HEAD) : -len(TAIL)] for body in packed), TAIL))


def split_images(body: bytes) -> list[str]:
    """Return the packed images of a request.

    Raises:
        WireError: it is not {"images": [strings, at least one]}.
    """
    images: list[str] = loads(body).get("images", [])
    if not is_strings(images) or not images:
        raise WireError('the body must be {"images": ["<base64 PNG>", ...]} with at least one image')
    return images
