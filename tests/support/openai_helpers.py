"""What the tests of the OpenAI oracle and its emulator share: a key, images, one question, and bodies of replies."""

from __future__ import annotations

import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

import oracles.openai
from bbquery.types import Reply
from oracles._openai.reply import ApiReply, parsed, understood

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from numpy.typing import NDArray

    from bbquery.errors import OracleError
    from bbquery.oracle import Oracle
    from bbquery.types import Answer
    from oracles._openai.request import Api

KEY = "sk-marker-d41d8cd98f00b204"
VARIABLE = "OPENAI_API_KEY"
MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.4",
    "o4-mini",
)
SMALL: dict[str, Any] = {"height": 8, "width": 8}


def prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a key into the environment, and nothing else of the vendor's."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL", "OPENAI_CUSTOM_HEADERS", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, KEY)


def connect(url: str = "http://127.0.0.1:9/v1", **options: Any) -> Oracle:
    """Connect a cheap model that is sent tiny images."""
    return oracles.openai.connect(**({"model": "gpt-4o-mini", "base_url": url} | SMALL | options))


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Oracle]:
    oracle = connect(url, **options)
    async with contextlib.aclosing(oracle):
        yield oracle


def image(side: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    """Return a random image."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


async def ask(url: str, *, side: int = 8, **options: Any) -> Reply | OracleError:
    """Make one attempt at `url`; return its reply or per-image error, raise what it raises."""
    async with connected(url, **options) as oracle:
        (reply,) = await oracle.answer([oracle.encode(image(side))])
    return reply


async def answered(url: str, **options: Any) -> Reply:
    """Make one attempt that succeeds."""
    reply = await ask(url, **options)
    assert isinstance(reply, Reply)
    return reply


def completion(text: str | None = "cat", **fields: Any) -> dict[str, Any]:
    """Return the body of a chat completion; fields replace its own."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103}
    plain = {"id": "x", "object": "chat.completion", "created": 0, "model": "gpt-4o-mini-2024-07-18"}
    return plain | {"choices": [choice], "usage": usage} | fields


def choice(text: str | None = "cat", *, refusal: str | None = None, ended: str = "stop", **more: Any) -> dict[str, Any]:
    """Return a completion with one choice."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return completion(choices=[{"index": 0, "message": message, "finish_reason": ended, **more}])


def response(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body of a response whose message has these parts; fields replace its own."""
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": list(parts)}
    usage = {"input_tokens": 100, "output_tokens": 3, "total_tokens": 103}
    plain = {"id": "x", "object": "response", "status": "completed", "model": "gpt-4o-mini-2024-07-18"}
    return plain | {"output": [message], "usage": usage} | fields


def text_part(text: str, **more: Any) -> dict[str, Any]:
    """Return a part of a response that is text."""
    return {"type": "output_text", "text": text, "annotations": [], **more}


def mistake(message: str, **fields: str | None) -> dict[str, Any]:
    """Return the vendor's JSON for an error."""
    return {"error": {"message": message, "type": None, "param": None, "code": None} | fields}


def read(api: Api, body: bytes) -> ApiReply:
    """Return what the body of a success says; raises what cannot be read."""
    return understood(api, parsed(body))


def answer_in(content: dict[str, Any]) -> Answer:
    """Return the answer that a body holds, of either API."""
    return read("responses" if content["object"] == "response" else "chat", json.dumps(content).encode()).answer
