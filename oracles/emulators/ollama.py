"""Ollama on this machine, for the unmodified `ollama` package and for plain HTTP: chat with images.

Real answers come from the oracle it wraps, any that gives probabilities of classes: they are put into words as the
emulator of OpenAI does. Every model's name is served. What a request must be is written from docs.ollama.com, 2026-11.
"""

from __future__ import annotations

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
    from oracles.emulators._server import web

__all__ = ["NO_FAULTS", "Faults", "OllamaEmulator", "serve"]

Faults = LanguageFaults

FREE = ServedModel(input=0, output=0)
IMAGE_TOKENS = 576  # of LLaVA 1.5; each model has its own
CREATED = "2026-11-30T12:00:00Z"
TAKEN = {"model", "messages", "stream", "think", "options", "keep_alive", "format", "tools"}
STATUSES = {"invalid": 400, "key": 401, "unknown": 404, "too large": 413, "rate": 503, "quota": 402, "broken": 500}


class OllamaEmulator(LanguageEmulator):
    """Serves `oracle`, which gives probabilities of classes; closing it stays with its owner."""

    paths = ("/api/chat",)

    def sent_key(self, request: web.Request) -> str:
        """Return the key, which only Ollama's cloud takes."""
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def read(self, request: web.Request, body: bytes) -> Question:
        """Return what is asked."""
        content = json_of(request, body)
        check_members(content, TAKEN)
        if content.get("stream", True):
            raise Refusal("invalid", 'this emulator does not stream: send "stream": false')
        options = content.get("options") or {}
        match content:
            case {"model": str(name), "messages": [{"role": "user", "content": str(prompt), "images": [image]}]}:
                pixels = pixels_of(image)
                return Question(
                    name=name,
                    served=FREE,
                    prompt=prompt,
                    pixels=pixels,
                    image_tokens=IMAGE_TOKENS,
                    cap=cap_of(options.get("num_predict", 2**31), "num_predict"),
                    temperature=number_of(options.get("temperature"), "temperature", 0, 100, 0.8),
                    thought=40 if content.get("think") else 0,
                )
        raise Refusal("invalid", "this emulator takes a model and one message of the user with one image")

    def reply(self, said: Said) -> dict[str, Any]:
        """Return the whole answer."""
        thought = {"thinking": "It looks like an image."} if said.thought else {}
        return {
            "model": said.question.name,
            "created_at": CREATED,
            "message": {"role": "assistant", "content": said.text, **thought},
            "done": True,
            "done_reason": "length" if said.ending == "length" else "stop",
            "total_duration": 1_000_000,
            "load_duration": 0,
            "prompt_eval_count": said.input,
            "prompt_eval_duration": 500_000,
            "eval_count": said.thought + said.spoken,
            "eval_duration": 500_000,
        }

    def refused(self, refusal: Refusal) -> tuple[int, dict[str, Any]]:
        """Return an error; too many requests are a busy server."""
        said = "server busy, please try again. maximum pending requests exceeded" if refusal.why == "rate" else refusal
        return STATUSES.get(refusal.why, 500), {"error": str(said)}


serve = serving(OllamaEmulator, NO_FAULTS)
