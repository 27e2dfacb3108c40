"""Anthropic's own package at our emulator of its protocol: an independent reader of what the emulator says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import numpy as np
import pytest

from oracles import function
from oracles.emulators.anthropic import AnthropicEmulator, Faults
from tests.support.http_helpers import base64_png

if TYPE_CHECKING:
    from anthropic.types import Message

IMAGE = base64_png(np.zeros((300, 400, 3), np.uint8))


def emulator(**options: Any) -> AnthropicEmulator:
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    return AnthropicEmulator(inner, **options)


async def asked(client: anthropic.AsyncAnthropic, model: str, cap: int = 300, **options: Any) -> Message:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
    question: Any = {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}
    said: Message = await client.messages.create(model=model, max_tokens=cap, messages=[question], **options)
    return said


def client(url: str, key: str = "right") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0)


async def test_messages_are_read_whole() -> None:
    """Text, thoughts, why it ended and what it used stand where the package looks for them, and make up the bill."""
    server = emulator(key="right")
    async with server.running() as url, client(url) as api:
        plain = await asked(api, "claude-haiku-4-5")
        thinking = await asked(api, "claude-opus-5-5", extra_body={"output_config": {"effort": "low"}})
        cut = await asked(api, "claude-opus-5-5", cap=50)

    assert [block.type for block in plain.content] == ["text"]
    assert [block.type for block in thinking.content] == ["thinking", "text"]
    assert (plain.stop_reason, thinking.stop_reason, cut.stop_reason) == ("end_turn", "end_turn", "max_tokens")
    used = [said.usage.input_tokens + said.usage.output_tokens for said in (plain, thinking, cut)]
    assert sum(used) == server.bill.tokens
    assert server.bill.images_answered == 3


async def test_a_refusal_is_read_as_one() -> None:
    """It is a success with a reason to stop, and details for people."""
    async with emulator(faults=Faults(refusal=1.0)).running() as url, client(url) as api:
        refused = await asked(api, "claude-haiku-4-5")

    assert (refused.stop_reason, refused.content) == ("refusal", [])
    assert refused.stop_details is not None
    assert refused.stop_details.explanation


HAIKU = "claude-haiku-4-5"


@pytest.mark.parametrize(
    ("faults", "wrong", "kind"),
    [
        (Faults(), {"key": "wrong"}, anthropic.AuthenticationError),
        (Faults(), {"model": "claude-9"}, anthropic.NotFoundError),
        (Faults(), {"extra_body": {"temperature": 0}}, anthropic.BadRequestError),
        (Faults(rate_limited=1.0), {}, anthropic.RateLimitError),
        (Faults(quota=1.0), {}, anthropic.BadRequestError),
        (Faults(server_error=1.0), {}, anthropic.InternalServerError),
        (Faults(overloaded=1.0), {}, anthropic.APIStatusError),
    ],
)
async def test_errors_are_read_as_what_they_are(
    faults: Faults, wrong: dict[str, Any], kind: type[anthropic.APIStatusError]
) -> None:
    """Each status and its body makes the error that the package has for it."""
    options = {"model": HAIKU} | wrong
    key = options.pop("key", "right")
    async with emulator(faults=faults, key="right").running() as url, client(url, key) as api:
        with pytest.raises(kind) as raised:
            await asked(api, **options)

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["type"] == "error"
