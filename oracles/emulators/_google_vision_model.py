"""The oracle behind the emulator: the bytes of images in, its replies out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bbquery.images import reading
from bbquery.images.placement import fit
from oracles.emulators._pictures import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.errors import OracleError
    from bbquery.oracle import Oracle
    from bbquery.types import Reply


class ImageOracle:
    """Asks an oracle as its capabilities allow: in batches, with so many in flight, with images of its size."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._slots = asyncio.Semaphore(oracle.capabilities.limits.concurrency)

    async def asked(self, contents: Sequence[bytes]) -> list[Reply | OracleError | None]:
        """Return a reply or an error for each image, None for one that cannot be read.

        Raises:
            OracleError: the oracle failed as a whole.
        """
        payloads = await asyncio.to_thread(lambda: [self._encoded(content) for content in contents])
        readable = [row for row, payload in enumerate(payloads) if payload is not None]
        replies = dict(zip(readable, await self._in_batches([payloads[row] for row in readable]), strict=True))
        return [replies.get(row) for row in range(len(contents))]

    def _encoded(self, content: bytes) -> Any:
        capabilities = self._oracle.capabilities
        try:
            photo = reading.load(decoded(content))
        except Exception:  # noqa: BLE001 - hostile bytes make a decoder raise nearly anything
            return None
        return self._oracle.encode(fit(photo, capabilities.view, capabilities.domain)[0])

    async def _in_batches(self, payloads: Sequence[Any]) -> list[Reply | OracleError]:
        size = self._oracle.capabilities.limits.largest_batch
        batches = [payloads[start : start + size] for start in range(0, len(payloads), size)]
        answered = await asyncio.gather(*map(self._in_a_slot, batches))
        return [reply for replies in answered for reply in replies]

    async def _in_a_slot(self, payloads: Sequence[Any]) -> Sequence[Reply | OracleError]:
        async with self._slots:
            return await self._oracle.answer(payloads)
