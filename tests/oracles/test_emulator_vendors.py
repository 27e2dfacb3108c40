"""What the emulators of vendors share: who may ask, limits, bodies that cannot be read, and the bill."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import numpy as np
import pytest

from bbquery.errors import UsageError
from oracles import function
from oracles.emulators import anthropic, gemini, hugging_face, ollama
from oracles.emulators._faults import Faults
from tests.support.http_helpers import base64_png

IMAGE = base64_png(np.zeros((8, 8, 3), np.uint8))
KEYS = {"x-api-key": "k", "x-goog-api-key": "k", "Authorization": "Bearer k", "anthropic-version": "2023-06-01"}

MESSAGE = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
    {"type": "text", "text": "What is it?"},
]
CASES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "anthropic": (
        anthropic.AnthropicEmulator,
        "/v1/messages",
        {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": MESSAGE}]},
    ),
    "gemini": (
        gemini.GeminiEmulator,
        "/v1beta/models/gemini-3.5-flash:generateContent",
        {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": IMAGE}}, {"text": "What?"}]}]},
    ),
    "hugging_face": (hugging_face.HuggingFaceEmulator, "/", {"inputs": IMAGE, "parameters": {"top_k": 1}}),
    "ollama": (
        ollama.OllamaEmulator,
        "/api/chat",
        {"model": "llava", "stream": False, "messages": [{"role": "user", "content": "What?", "images": [IMAGE]}]},
    ),
}
each = pytest.mark.parametrize("name", CASES)


def emulator(name: str, **options: Any) -> Any:
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    return CASES[name][0](inner, **options)


async def posted(url: str, name: str, **options: Any) -> tuple[int, Any, Any]:
    """Return the status, the JSON and the headers of one request."""
    _, path, content = CASES[name]
    asked = {"json": content, "headers": KEYS} | options
    async with aiohttp.ClientSession() as session, session.post(url + path, **asked) as response:
        return response.status, await response.json(), response.headers


@each
async def test_a_right_request_is_answered_and_billed(name: str) -> None:
    """With the right key; the bill, which can be fetched, counts the image."""
    server = emulator(name, key="k")
    async with server.running() as url:
        status, _, _ = await posted(url, name)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/bill") as response:
            bill = await response.json()

    assert status == 200
    assert (bill["requests"], bill["images_answered"], bill["rejected"]) == (1, 1, 0)
    assert len(server.arrivals) == 1


@each
@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"headers": {"anthropic-version": "2023-06-01"}}, {}),
        ({"headers": KEYS | {"Origin": "https://a.page"}}, {}),
        ({"json": None, "data": b"{", "headers": KEYS | {"Content-Type": "application/json"}}, {}),
        ({"json": None, "data": b"{}", "headers": KEYS | {"Content-Type": "text/plain"}}, {}),
        ({"json": {}}, {}),
        ({"json": [1]}, {}),
        ({}, {"largest_body": 10}),
    ],
)
async def test_what_is_wrong_is_refused_and_not_billed(
    name: str, options: dict[str, Any], bound: dict[str, int]
) -> None:
    """No key, a page in a browser, what is no JSON or no question, and what is too large: an error in JSON."""
    server = emulator(name, key="k", **bound)
    async with server.running() as url:
        status, content, _ = await posted(url, name, **options)

    assert 400 <= status < 500
    assert "error" in content
    assert (server.bill.rejected, server.bill.images_answered) == (1, 0)


@each
async def test_more_requests_than_the_limit_are_turned_away(name: str) -> None:
    """Each in the vendor's own way, and none is billed."""
    faults = {"anthropic": anthropic.Faults, "hugging_face": hugging_face.Faults}.get(name, gemini.Faults)
    server = emulator(name, faults=faults(requests_per_minute=1))
    async with server.running() as url:
        first = await posted(url, name)
        second, content, headers = await posted(url, name)

    assert first[0] == 200
    assert second == (503 if name == "ollama" else 429)
    assert "retry-after" in headers or "retryDelay" in str(content)
    assert (server.bill.rate_limited, server.bill.images_answered) == (1, 1)


def test_an_oracle_without_probabilities_cannot_be_served() -> None:
    """There is nothing to put into words."""
    labels = function.connect(lambda image: "cat", answers="labels", version="1")

    for made, _, _ in CASES.values():
        with pytest.raises(UsageError, match="does not give"):
            made(labels)


@each
async def test_it_serves_until_it_is_cancelled(name: str) -> None:
    """`bbquery serve` runs it so: who waits for the address gets it, and may ask."""
    module = {"anthropic": anthropic, "gemini": gemini, "hugging_face": hugging_face, "ollama": ollama}[name]
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(module.serve(inner, port=0, ready=address.set_result))

    status, _, _ = await posted(await address, name)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert status == 200


def test_faults_of_language_models_are_shares() -> None:
    """What exceeds 1, alone or together, is refused."""
    for wrong in ({"refusal": 0.6, "content_filter": 0.6}, {"cached": 1.5}):
        with pytest.raises(UsageError):
            gemini.Faults(**wrong)  # type: ignore[arg-type]  # numbers all
    assert isinstance(anthropic.Faults(), Faults)
