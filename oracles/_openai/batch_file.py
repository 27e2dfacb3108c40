"""The file of a batch: the line that asks one question, and lines cut from a file that comes in pieces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bbquery.batch_oracle import BatchLimits
from oracles._http.bodies import LARGEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMITS = BatchLimits(lines=50_000, bytes=200 * 10**6)  # developers.openai.com/api/docs/guides/batch, "Rate limits"
VERSION = "/v1"  # of the API, in a line and in the name of an endpoint, whatever the base URL ends in


def line(name: str, path: str, body: bytes) -> bytes:
    """Return the line, with its end, that asks for the path with this body, which is JSON on one line."""
    head = json.dumps({"custom_id": name, "method": "POST", "url": VERSION + path}, separators=(",", ":"))
    return b"".join((head[:-1].encode(), b',"body":', body, b"}\n"))


async def cut(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """Give the lines of a file, without their ends, and whether each has one: the last of a file cut off has not.

    Of a line that is longer than an answer may be only so much is kept, which tells whose it is.
    """
    held = bytearray()
    async for piece in pieces:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            held += end[: LARGEST - len(held)]
            yield bytes(held), True
            held.clear()
        held += rest[: LARGEST - len(held)]
    if held:
        yield bytes(held), False
