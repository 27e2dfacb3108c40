"""Hashes that name what they are of."""

from __future__ import annotations

from blake3 import blake3

DIGITS = 32
"""Hexadecimal digits: 128 bits."""


def digest(*parts: bytes) -> str:
    """Return the hash of some bytes, one part after the other, in hexadecimal digits."""
    hashed = blake3()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()[:DIGITS]
