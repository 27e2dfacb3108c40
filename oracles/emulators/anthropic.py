"""Anthropic's Messages API on this machine, for the unmodified `anthropic` package and for plain HTTP.

Real answers come from the oracle it wraps, any that gives probabilities of classes: they are put into words as the
emulator of OpenAI does. What a request must be, how an image is counted and what it costs is written from Anthropic's
pages (platform.claude.com/docs, 2026-11), without a look at the oracle that asks. Beside the faults of every language
model, `overloaded` is the share of requests that are answered 529, unbilled.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from oracles.emulators import _language_faults
from oracles.emulators._language import (
    REFUSAL,
    LanguageEmulator,
    Question,
    Said,
    ServedModel,
    cap_of,
    check_members,
    number_of,
    pixels_of,
)
from oracles.emulators._vendor import LARGEST_BODY, Answered, Refusal, json_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.oracle import Oracle
    from oracles.emulators._server import web

__all__ = ["NO_FAULTS", "AnthropicEmulator", "Faults", "serve"]

OLD, NEW = "2023-06-01", "2026-10-21"
"""Versions of the API; the new one takes no temperature of any model."""

PATCH = 28  # pixels
LONGEST, MOST = {"old": 1568, "new": 2576}, {"old": 1568, "new": 4784}
"""Pixels of a longer side and tokens of an image, into which it is shrunk first."""

THINKING = {"low": 40, "medium": 120, "high": 240, "xhigh": 480, "max": 960}
"""Tokens of thought at each effort; the vendor's models decide for themselves."""

SERVED = {
    "claude-haiku-4-5": ServedModel(input=1_000_000, cached=100_000, written=1_250_000, output=5_000_000),
    "claude-opus-4-8": ServedModel(input=5_000_000, cached=500_000, written=6_250_000, output=25_000_000),
    "claude-sonnet-5-5": ServedModel(
        input=2_000_000, cached=100_000, written=2_500_000, output=10_000_000, thinks=THINKING["high"]
    ),
    "claude-opus-5-5": ServedModel(
        input=4_000_000, cached=200_000, written=5_000_000, output=20_000_000, thinks=THINKING["medium"]
    ),
}
TAKE_TEMPERATURE = frozenset({"claude-haiku-4-5"})
TAKEN = {"model", "max_tokens", "messages", "temperature", "output_config", "system", "metadata", "stream"}
KINDS = {
    "invalid": (400, "invalid_request_error"),
    "key": (401, "authentication_error"),
    "unknown": (404, "not_found_error"),
    "too large": (413, "request_too_large"),
    "rate": (429, "rate_limit_error"),
    "quota": (400, "invalid_request_error"),
    "broken": (500, "api_error"),
    "late": (500, "api_error"),
    "overloaded": (529, "overloaded_error"),
}
BROKE = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."


@dataclass(frozen=True, kw_only=True)
class Faults(_language_faults.LanguageFaults):
    """The faults of every language model's vendor, and overloaded: share of requests that get 529, unbilled."""

    overloaded: float = 0.0

    def is_overloaded(self, request: int) -> bool:
        """Return whether request number `request` finds no room; it depends on nothing else."""
        return bool(np.random.default_rng((self.seed, request, 5)).random() < self.overloaded)


NO_FAULTS = Faults()


class AnthropicEmulator(LanguageEmulator):
    """Serves `oracle`, which gives probabilities of classes; closing it stays with its owner."""

    paths = ("/v1/messages",)
    faults: Faults

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        key: str | None = None,
        largest_body: int = LARGEST_BODY,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(oracle, faults, key=key, largest_body=largest_body)
        self._now = now

    def sent_key(self, request: web.Request) -> str:
        """Return the key: in the header of the older packages, or as the newer ones send it."""
        return request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")

    def read(self, request: web.Request, body: bytes) -> Question:
        """Return what is asked."""
        version = request.headers.get("anthropic-version")
        if version not in (OLD, NEW):
            raise Refusal("invalid", "anthropic-version: header is required")
        content = json_of(request, body)
        check_members(content, TAKEN if version == OLD else TAKEN - {"temperature"})
        name = content.get("model")
        if name not in SERVED:
            raise Refusal("unknown", f"model: {name}")
        if content.get("temperature") is not None and name not in TAKE_TEMPERATURE:
            raise Refusal("invalid", "`temperature` is deprecated for this model.")
        prompt, pixels = _said(content)
        return Question(
            name=name,
            served=SERVED[name],
            prompt=prompt,
            pixels=pixels,
            image_tokens=image_tokens(pixels.shape[1], pixels.shape[0], "old" if name in TAKE_TEMPERATURE else "new"),
            cap=cap_of(content.get("max_tokens"), "max_tokens"),
            temperature=number_of(content.get("temperature"), "temperature", 0, 1, 1.0),
            thought=_thought(content, name),
        )

    async def answered(self, asked: Question, number: int, /) -> Answered:
        """Return the answer to a question, unless there is no room for it."""
        if self.faults.is_overloaded(number):
            raise Refusal("overloaded", "Overloaded")
        return await super().answered(asked, number)

    def reply(self, said: Said) -> dict[str, Any]:
        """Return a message."""
        endings = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal", "content_filter": "refusal"}
        thoughts = [{"type": "thinking", "thinking": "", "signature": "emulated"}] if said.thought else []
        texts = [{"type": "text", "text": said.text}] if said.text else []
        details = {"type": "refusal", "category": None, "explanation": REFUSAL}
        return {
            "id": f"msg_{said.number}",
            "type": "message",
            "role": "assistant",
            "model": said.question.name,
            "content": thoughts + texts,
            "stop_reason": endings[said.ending],
            "stop_sequence": None,
            "stop_details": details if endings[said.ending] == "refusal" else None,
            "usage": {
                "input_tokens": said.input - said.cached - said.written,
                "cache_creation_input_tokens": said.written,
                "cache_read_input_tokens": said.cached,
                "output_tokens": said.thought + said.spoken,
                "service_tier": "standard",
            },
        }

    def refused(self, refusal: Refusal) -> tuple[int, dict[str, Any]]:
        """Return an error."""
        status, kind = KINDS[refusal.why]
        message = BROKE if refusal.why == "quota" else str(refusal)
        return status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_0"}

    def headers(self, number: int) -> dict[str, str]:
        """Return the request's name, and the limits where there are some."""
        named, rate = {"request-id": f"req_{number}"}, self.rate()
        if rate is None:
            return named
        most, left, reset = rate
        until = datetime.fromtimestamp(math.ceil(self._now() + reset), UTC)
        return named | {
            "anthropic-ratelimit-requests-limit": str(most),
            "anthropic-ratelimit-requests-remaining": str(left),
            "anthropic-ratelimit-requests-reset": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def image_tokens(width: float, height: float, generation: str) -> int:
    """Return the tokens of an image: its patches, once it is shrunk into what the generation of models sees."""
    shrink = min(1.0, LONGEST[generation] / max(width, height))
    while math.ceil(width * shrink / PATCH) * math.ceil(height * shrink / PATCH) > MOST[generation]:
        shrink *= 0.999
    return math.ceil(width * shrink / PATCH) * math.ceil(height * shrink / PATCH)


def _said(content: dict[str, Any]) -> tuple[str, Any]:
    """Return the text and the pixels of the one message."""
    match content.get("messages"):
        case [{"role": "user", "content": list(parts)}]:
            texts = [part["text"] for part in parts if part.get("type") == "text"]
            images = [part.get("source") for part in parts if part.get("type") == "image"]
            match images:
                case [{"type": "base64", "media_type": "image/png" | "image/jpeg", "data": data}]:
                    return "\n".join(texts), pixels_of(data)
    raise Refusal("invalid", "messages: this emulator takes one message of the user with one image in base64")


def _thought(content: dict[str, Any], name: str) -> int:
    """Return for how many tokens a model thinks; older ones only do where they are asked to, which this cannot be."""
    effort = (content.get("output_config") or {}).get("effort")
    if effort is not None and effort not in THINKING:
        raise Refusal("invalid", f"output_config.effort: must be one of {', '.join(THINKING)}")
    thinks = SERVED[name].thinks
    return thinks if effort is None or not thinks else THINKING[effort]


serve = serving(AnthropicEmulator, NO_FAULTS)
