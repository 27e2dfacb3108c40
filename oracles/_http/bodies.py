"""Bodies of responses, unpacked up to a limit: what a server sends does not decide how much memory a run takes.

A few kilobytes that are packed well unpack into gigabytes, and a body need not end. So what arrives is unpacked here
and not by the clients, a piece at a time, and counted as it grows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

LARGEST = 16 * 2**20  # bytes of an answer, unpacked: those of 32 images with 20,000 numbers each
LARGEST_FILE = 2**30  # bytes of a batch's results, which are read line by line and never held
LARGEST_REASON = 2**16  # bytes of a refusal: some quote the request
PIECE = 2**16  # bytes unpacked at once
PACKINGS = "gzip, deflate"  # what may be sent packed, as a header says it
NOT_PACKED = ("", "identity")
GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class UnreadableBody(Exception):
    """A body that is too long, or packed in a way that cannot be unpacked; the message says which."""


class Unpacker:
    """Unpacks one body. packing: its Content-Encoding. most: bytes that it may come to."""

    def __init__(self, packing: str, most: int) -> None:
        self._said = self._packing = packing.strip().lower()
        self._most, self._bytes = most, 0
        self._inner = self._opened(GZIP if "gzip" in self._packing else ZLIB)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what this further part of the body unpacks into.

        Raises:
            UnreadableBody: it cannot be unpacked, or the body is longer than it may be.
        """
        if self._packing in NOT_PACKED:
            yield self._counted(data)
            return
        if self._packing not in ("gzip", "x-gzip", "deflate"):
            raise UnreadableBody(f"it is packed as {self._packing[:40]!r}, and only {PACKINGS} were asked for")
        while data:
            try:
                piece = self._inner.decompress(data, PIECE)
            except zlib.error as error:
                if self._packing != "deflate" or self._bytes:
                    raise UnreadableBody(f"it cannot be unpacked as {self._said} ({error})") from None
                self._packing, self._inner = "gzip", self._opened(RAW)  # "deflate" is sent without a head, too
                continue
            yield self._counted(piece)
            data = self._inner.unconsumed_tail
            if self._inner.eof and self._inner.unused_data:  # gzip may be several, one after another
                data, self._inner = self._inner.unused_data, self._opened(GZIP)

    def _opened(self, form: int) -> zlib._Decompress:
        return zlib.decompressobj(form)

    def _counted(self, piece: bytes) -> bytes:
        self._bytes += len(piece)
        if self._bytes > self._most:
            raise UnreadableBody(f"it is longer than {self._most / 2**20:g} MiB, and was read no further")
        return piece
