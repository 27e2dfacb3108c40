"""The oracle behind the emulator: the bytes of images in, its replies out, with what is seen of each image."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from bbquery.images import reading
from bbquery.images.placement import fit
from oracles.emulators._google_vision_sight import Sight
from oracles.emulators._pictures import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.errors import OracleError
    from bbquery.oracle import Oracle
    from bbquery.types import Reply


class Looked(NamedTuple):
    """What became of an image that could be read: the oracle's reply or error, and what is seen of the pixels."""

    reply: Reply | OracleError
    sight: Sight


class ImageOracle:
    """Asks an oracle as its capabilities allow: in batches, with so many in flight, with images of its size."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._slots = asyncio.Semaphore(oracle.capabilities.limits.concurrency)

    async def asked(self, contents: Sequence[bytes]) -> list[Looked | None]:
        """Return what became of each image, None for one that cannot be read.

        Raises:
            OracleError: the oracle failed as a whole.
        """
        read = await asyncio.to_thread(lambda: [self._read(content) for content in contents])
        replies = iter(await self._in_batches([one[0] for one in read if one is not None]))
        return [None if one is None else Looked(next(replies), one[1]) for one in read]

    def _read(self, content: bytes) -> tuple[Any, Sight] | None:
        """Return an image as the oracle takes it, and what is seen of it; None where it cannot be read."""
        capabilities = self._oracle.capabilities
        try:
            photo = reading.load(decoded(content))
        except Exception:  # noqa: BLE001 - hostile bytes make a decoder raise nearly anything
            return None
        return self._oracle.encode(fit(photo, capabilities.view, capabilities.domain)[0]), Sight.of(photo)

    async def _in_batches(self, payloads: Sequence[Any]) -> list[Reply | OracleError]:
        size = self._oracle.capabilities.limits.largest_batch
        batches = [payloads[start : start + size] for start in range(0, len(payloads), size)]
        answered = await asyncio.gather(*map(self._in_a_slot, batches))
        return [reply for replies in answered for reply in replies]

    async def _in_a_slot(self, payloads: Sequence[Any]) -> Sequence[Reply | OracleError]:
        async with self._slots:
            return await self._oracle.answer(payloads)
