"""Small images, and files of them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def tiny_images(n: int, *, side: int = 8, width: int | None = None, seed: int = 0) -> NDArray[np.uint8]:
    """Return n distinct images (n, side, width, 3); they are square where no width is named."""
    shape = (n, side, side if width is None else width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def photo_of(height: int = 12, width: int = 16) -> NDArray[np.uint8]:
    """Return a photo in which every pixel differs from its neighbours."""
    (photo,) = tiny_images(1, side=height, width=width, seed=7)
    return np.asarray(photo)


def png(pixels: NDArray[Any]) -> bytes:
    """Return a PNG file, made independently of bbquery."""
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def saved(path: Path, pixels: NDArray[Any]) -> str:
    """Write a photo, in the format that its name says; return its path."""
    Pillow.fromarray(pixels).save(path)
    return str(path)


def png_header_of(width: int, height: int) -> bytes:
    """Return a PNG that promises this size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"")
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
