"""HEIC and AVIF, the formats of newer phones: recognised by their first bytes, opened where a decoder is installed.

Pillow decodes AVIF from version 11.3 on, `pillow-heif` HEIC; the extra `heif` brings both.
"""

from __future__ import annotations

import importlib.util

from bbquery.errors import MissingExtra

HEAD = 12  # bytes: the size of the first box, its kind "ftyp", and whose brand the file is
BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIF"),
}  # fmt: skip


def formats(head: bytes, name: str) -> tuple[str, ...]:
    """Return Pillow's name of the format that a file begins like, ready to be opened; nothing where it is another.

    head: the first 12 bytes. name: of the file, for messages.

    Raises:
        MissingExtra: it is a HEIC or AVIF photo, and no decoder is installed.
    """
    kind = BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
    if kind is None:
        return ()
    if kind == "AVIF" and importlib.util.find_spec("PIL._avif") is None:
        raise MissingExtra("heif", f"opening the AVIF photo {name!r}", "pillow>=11.3")
    if kind == "HEIF":
        try:
            from pillow_heif import register_heif_opener  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingExtra("heif", f"opening the HEIC photo {name!r}", "pillow-heif") from error
        register_heif_opener()
    return (kind,)
