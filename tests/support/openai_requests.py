"""What is asked of OpenAI's emulator, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bbquery.errors import (
    OracleError,
)
from tests.support.http_helpers import base64_png
from tests.support.openai_helpers import image

if TYPE_CHECKING:
    from bbquery.oracle import Oracle

CLASSES = "red|green|blue"


def data_url(side: int = 8, seed: int = 0) -> str:
    return f"data:image/png;base64,{base64_png(image(side, seed))}"


def chat(question: str = "What is it?", detail: str = "low", **fields: Any) -> dict[str, Any]:
    """Return the arguments of a chat completion about one image."""
    parts = [
        {"type": "text", "text": question},
        {"type": "image_url", "image_url": {"url": data_url(), "detail": detail}},
    ]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]} | fields


def responses(question: str = "What is it?", **fields: Any) -> dict[str, Any]:
    """Return the arguments of a response about one image."""
    parts = [
        {"type": "input_text", "text": question},
        {"type": "input_image", "image_url": data_url(), "detail": "low"},
    ]
    return {"model": "gpt-4o", "input": [{"role": "user", "content": parts}]} | fields


async def outcome(oracle: Oracle) -> object:
    """Return what one attempt gives or raises."""
    try:
        (found,) = await oracle.answer([oracle.encode(image())])
    except OracleError as error:
        return error
    return found


names = st.lists(st.text("ab -", min_size=1, max_size=20).filter(lambda s: s == s.strip()), min_size=1, unique=True)
