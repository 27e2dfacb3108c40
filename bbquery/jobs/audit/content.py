"""Content of a photo's file: its bytes, and the hash by which it is known whatever it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery.errors import BadImage
from bbquery.images import samples

if TYPE_CHECKING:
    from bbquery.jobs.audit.photos import Photo

BYTES = 16  # of a hash


def digest(photo: Photo) -> str:
    """Return the hash of a photo's file.

    Raises:
        BadImage: it cannot be read.
    """
    try:
        return blake3().update_mmap(_path(photo)).hexdigest(length=BYTES)
    except OSError as error:
        raise _unreadable(photo, error) from error


def digest_of(content: bytes) -> str:
    """Return the hash of a file that holds this."""
    return blake3(content).hexdigest(length=BYTES)


def content_of(photo: Photo) -> bytes:
    """Return what a photo's file holds.

    Raises:
        BadImage: it cannot be read.
    """
    try:
        return _path(photo).read_bytes()
    except OSError as error:
        raise _unreadable(photo, error) from error


def _path(photo: Photo) -> Path:
    source = photo.source
    return samples.path(source.removeprefix(samples.PREFIX)) if source.startswith(samples.PREFIX) else Path(source)


def _unreadable(photo: Photo, error: OSError) -> BadImage:
    return BadImage(photo.given, f"it cannot be read: {error.strerror}")
