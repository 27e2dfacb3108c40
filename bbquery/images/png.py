"""Lossless PNG: the oracle decodes exactly the pixels that the algorithm asked about."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from bbquery.types import Image

ROWS_LOOKED_AT = 8
"""Of an image that is to be encoded, to see whether it compresses."""

INCOMPRESSIBLE = 0.67
"""The share of its size below which compressing is worth some thirty times the CPU time of storing."""

HEADER = 16
"""Bytes of a PNG before its width: the signature, and length and kind of its first part."""


def png(image: Image, *, level: int | None = None) -> bytes:
    """Return a lossless PNG of an image (H, W, 3) uint8.

    level: zlib's, 0 (fast, large) to 9 (slow, small). None looks at the content: noise does not compress, so it is
    stored as it is (0), for a fraction of the time; anything else shrinks well at 1.

    Raises:
        UsageError: the image is not (H, W, 3) uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(
            f"PNG takes (height, width, 3) uint8, not {image.shape} {image.dtype}: realise it in the domain UINT8"
        )
    chosen = _level(image) if level is None else level
    if chosen == 0:
        return _stored(image)
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(image)).save(buffer, "png", compress_level=chosen)
    return buffer.getvalue()


def size_of(encoded: bytes) -> tuple[int, int]:
    """Return height and width in pixels of a PNG, as its header says."""
    width, height = struct.unpack_from(">II", encoded, HEADER)
    return height, width


def _stored(image: Image) -> bytes:
    """Return a PNG of pixels neither filtered nor compressed; Pillow filters even what it stores, many times slower."""
    height, width, _ = image.shape
    rows = np.zeros((height, 3 * width + 1), np.uint8)  # each row begins with its filter: 0 is none
    rows[:, 1:] = image.reshape(height, -1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits, RGB
        (b"IDAT", zlib.compress(rows.tobytes(), 0)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _level(image: Image) -> int:
    """Return the level that suits the content, from a few rows and their differences, as PNG filters them."""
    rows = image[:: max(1, image.shape[0] // ROWS_LOOKED_AT)]
    sample = np.diff(rows, axis=1, prepend=np.uint8(0)).tobytes()
    return 0 if len(zlib.compress(sample, 1)) > INCOMPRESSIBLE * len(sample) else 1
