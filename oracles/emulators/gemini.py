"""Google's Gemini API on this machine, for the unmodified `google-genai` package and for plain HTTP: generateContent.

Real answers come from the oracle it wraps, any that gives probabilities of classes: they are put into words as the
emulator of OpenAI does. What a request must be, how an image is counted and what it costs is written from Google's
pages (ai.google.dev, 2026-11), without a look at the oracle that asks. A failure that the vendor does not charge is
503; one that comes once the model has answered is 504.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oracles.emulators._language import (
    LanguageEmulator,
    Question,
    Said,
    ServedModel,
    cap_of,
    check_members,
    number_of,
    pixels_of,
)
from oracles.emulators._language_faults import NO_FAULTS, LanguageFaults
from oracles.emulators._vendor import Refusal, json_of, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oracles.emulators._server import web

__all__ = ["NO_FAULTS", "Faults", "GeminiEmulator", "serve"]

Faults = LanguageFaults

SERVED = {
    "gemini-2.5-flash-lite": ServedModel(input=100_000, cached=10_000, output=400_000),
    "gemini-3.5-flash": ServedModel(input=1_500_000, cached=150_000, output=9_000_000, thinks=200),
    "gemini-3.8-flash": ServedModel(input=750_000, cached=75_000, output=3_750_000, thinks=200),
}
IMAGE = {"MEDIA_RESOLUTION_LOW": 280, "MEDIA_RESOLUTION_MEDIUM": 560, "MEDIA_RESOLUTION_HIGH": 1120}
OLDER_IMAGE = {"MEDIA_RESOLUTION_LOW": 64, "MEDIA_RESOLUTION_MEDIUM": 256}
"""Tokens of an image, whatever its size, of Gemini 3 and of 2.5."""

THINKING = {"minimal": 0, "low": 60, "medium": 200, "high": 600}
DEFAULT_CAP = 65536
HUMP = re.compile(r"_(\w)")
PLAIN = str.maketrans("-_", "+/")  # the vendor reads base64 in either alphabet
STATUSES = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "key": (400, "INVALID_ARGUMENT"),
    "unknown": (404, "NOT_FOUND"),
    "too large": (413, "INVALID_ARGUMENT"),
    "rate": (429, "RESOURCE_EXHAUSTED"),
    "quota": (402, "RESOURCE_EXHAUSTED"),
    "broken": (503, "UNAVAILABLE"),
    "late": (504, "DEADLINE_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE"),
}


class GeminiEmulator(LanguageEmulator):
    """Serves `oracle`, which gives probabilities of classes; closing it stays with its owner."""

    paths = ("/v1beta/models/{name}:generateContent", "/v1/models/{name}:generateContent")

    def sent_key(self, request: web.Request) -> str:
        """Return the key."""
        return request.headers.get("x-goog-api-key", "")

    def read(self, request: web.Request, body: bytes) -> Question:
        """Return what is asked."""
        content, name = _with_humps(json_of(request, body)), request.match_info["name"]
        check_members(content, {"contents", "generationConfig", "safetySettings", "systemInstruction"})
        if name not in SERVED:
            raise Refusal("unknown", f"models/{name} is not found for API version v1beta")
        config = content.get("generationConfig") or {}
        known = {"maxOutputTokens", "temperature", "mediaResolution", "thinkingConfig", "candidateCount", "seed"}
        check_members(config, known)
        prompt, pixels = _said(content)
        return Question(
            name=name,
            served=SERVED[name],
            prompt=prompt,
            pixels=pixels,
            image_tokens=_image_tokens(name, config),
            cap=cap_of(config.get("maxOutputTokens", DEFAULT_CAP), "maxOutputTokens"),
            temperature=number_of(config.get("temperature"), "temperature", 0, 2, 1.0),
            thought=_thought(name, config.get("thinkingConfig") or {}),
        )

    def reply(self, said: Said) -> dict[str, Any]:
        """Return a response: of an image that is filtered no candidate, of an answer that is withheld its reason."""
        usage = {
            "promptTokenCount": said.input,
            "cachedContentTokenCount": said.cached,
            "candidatesTokenCount": said.spoken,
            "thoughtsTokenCount": said.thought,
            "totalTokenCount": said.input + said.spoken + said.thought,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": said.input - said.question.image_tokens},
                {"modality": "IMAGE", "tokenCount": said.question.image_tokens},
            ],
        }
        whole = {"usageMetadata": usage, "modelVersion": said.question.name, "responseId": f"response-{said.number}"}
        if said.ending == "content_filter":
            return whole | {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        reason = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}[said.ending]
        parts = {"parts": [{"text": said.text}]} if said.text else {}
        return whole | {"candidates": [{"content": {"role": "model", **parts}, "finishReason": reason, "index": 0}]}

    def refused(self, refusal: Refusal) -> tuple[int, dict[str, Any]]:
        """Return an error; one for the rate says in its details how long to wait."""
        status, name = STATUSES[refusal.why]
        message = "API key not valid. Please pass a valid API key." if refusal.why == "key" else str(refusal)
        error: dict[str, Any] = {"code": status, "message": message, "status": name}
        if refusal.wait is not None:
            info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{refusal.wait:g}s"}
            error["details"] = [info]
        return status, {"error": error}

    def waiting(self, _: Refusal, /) -> dict[str, str]:
        """Return no header: the vendor says in the body how long to wait."""
        return {}


def _with_humps(content: Any) -> Any:
    """Return JSON whose members' names have humps, as in inlineData; the vendor also takes underscores, inline_data."""
    match content:
        case dict():
            return {HUMP.sub(lambda found: found[1].upper(), name): _with_humps(part) for name, part in content.items()}
        case list():
            return [_with_humps(part) for part in content]
    return content


def _image_tokens(name: str, config: Mapping[str, Any]) -> int:
    counts = OLDER_IMAGE if name.startswith("gemini-2.5") else IMAGE
    resolution = config.get("mediaResolution", "MEDIA_RESOLUTION_MEDIUM")
    if resolution not in counts:
        raise Refusal("invalid", f"mediaResolution: {resolution} is not supported")
    return counts[resolution]


def _said(content: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the text and the pixels of the one content."""
    match content.get("contents"):
        case [{"parts": list(parts)}]:
            texts = [part["text"] for part in parts if "text" in part]
            blobs = [part.get("inlineData") for part in parts if "text" not in part]
            match blobs:
                case [{"data": str(data), "mimeType": str()}]:
                    return "\n".join(texts), pixels_of(data.translate(PLAIN))
    raise Refusal("invalid", "contents: this emulator takes one content with one image, inline")


def _thought(name: str, config: Mapping[str, Any]) -> int:
    """Return for how many tokens a model thinks; the older ones have a budget and the newer ones a level."""
    older = name.startswith("gemini-2.5")
    check_members(dict(config), {"includeThoughts", "thinkingBudget" if older else "thinkingLevel"})
    if older:
        return max(0, int(config.get("thinkingBudget", 0)))
    level = str(config.get("thinkingLevel", "medium")).lower()
    if level not in THINKING:
        raise Refusal("invalid", f"thinkingLevel: {level} is not supported")
    return THINKING[level]


serve = serving(GeminiEmulator, NO_FAULTS)
