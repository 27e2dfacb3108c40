"""Folders of photos: which of their files are taken for photos."""

from __future__ import annotations

from pathlib import Path

from bbquery.errors import UsageError

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".avif", ".heic",
    ".heif",
})  # fmt: skip
"""Of the files in a folder, those that are taken for photos; a file that is named itself may have any."""


def is_photo(file: Path) -> bool:
    """Whether a file in a folder is taken for a photo."""
    return file.suffix.lower() in SUFFIXES


def files(folder: Path) -> list[Path]:
    """Return the files in a folder by name, but hidden ones and those of the folders in it.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder} ({error.strerror})") from error


def photos(folder: Path) -> list[Path]:
    """Return the photos in a folder by name.

    Raises:
        UsageError: it has none, or cannot be read.
    """
    found = list(filter(is_photo, files(folder)))
    if not found:
        endings = ", ".join(sorted(SUFFIXES))
        raise UsageError(f"{folder} is a folder without a photo: none of its files ends in {endings}")
    return found
