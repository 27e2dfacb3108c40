"""What is asked of the emulator of the http protocol, and what comes of it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import aiohttp
from PIL import Image as Pillow

import oracles.http
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
)
from bbquery.types import Vector
from tests.support.images import tiny_images
from tests.support.replies import bare

if TYPE_CHECKING:
    from bbquery.oracle import Oracle
    from oracles.emulators.http import HttpEmulator

OUTCOMES: dict[str, type[object]] = {
    "rate_limited": RateLimited,
    "quota": QuotaExceeded,
    "server_error": OutcomeUnknown,
    "timeout": OutcomeUnknown,
    "dropped": OutcomeUnknown,
    "truncated": OutcomeUnknown,
    "junk": MalformedAnswer,
    "drip": Vector,
    "answered": Vector,
}
"""What each fault of a request becomes."""


async def post(url: str, images: Any, **options: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Ask as a client of the documentation would; return status, content and headers."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/answer", **({"json": {"images": images}} | options)) as response,
    ):
        content = await response.json(content_type=None) if response.content_type == "application/json" else {}
        return response.status, content, dict(response.headers)


async def attempt(oracle: Oracle, images: int = 1) -> object:
    """Return the first answer of one attempt, or what it raised."""
    try:
        return bare(await oracle.answer([oracle.encode(image) for image in tiny_images(images)]))[0]
    except OracleError as error:
        return error


async def attempts(emulator: HttpEmulator, count: int, images: int = 1, **options: Any) -> list[object]:
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url, **options)
        found = [await attempt(oracle, images) for _ in range(count)]
        await oracle.aclose()
    return found


def png(mode: str) -> str:
    file = io.BytesIO()
    Pillow.new(mode, (8, 8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
