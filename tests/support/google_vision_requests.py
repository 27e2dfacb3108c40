"""What is asked of the emulator of Google Cloud Vision, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import oracles.efficientnet
import oracles.google_vision
from tests.support.google_vision_helpers import ask, vendor_client

if TYPE_CHECKING:
    from oracles.emulators.google_vision import GoogleVisionEmulator


async def annotate(url: str, request: Any) -> list[Any]:
    """Ask as a client of the vendor's documentation would; return the responses of the images."""
    async with vendor_client(url) as client:
        response = await client.batch_annotate_images(request, retry=None, timeout=10)
    return list(response.responses)


async def attempts(emulator: GoogleVisionEmulator, count: int, images: int = 1, **options: Any) -> list[Any]:
    """Return the outcomes of attempts, one after the other."""
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, **options)
        found = [await ask(oracle, images) for _ in range(count)]
        await oracle.aclose()
    return found
