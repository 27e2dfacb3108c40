"""Replies of OpenAI: a chat completion or a response, with its usage; and errors, in the vendor's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oracles.emulators._openai_models import price
from oracles.emulators._openai_request import BATCH
from oracles.emulators._openai_usage import image_tokens, text_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oracles.emulators._language_faults import Ending
    from oracles.emulators._openai_request import Asked, Refused
    from oracles.emulators._phrases import Piece

REASONING = {"none": 0, "minimal": 0, "low": 64, "medium": 256, "high": 1024, "xhigh": 2048, "max": 4096}
"""Tokens that a model reasons for, by effort."""
REFUSAL = "I'm sorry, but I can't help with that."
CREATED = 1_700_000_000  # seconds since the epoch: the same each time


@dataclass(frozen=True, kw_only=True)
class BilledTokens:
    """What an answer used, in tokens, and what it costs."""

    prompt: int
    cached: int
    written: int
    reasoning: int
    spoken: int
    picodollars: int

    @property
    def output(self) -> int:
        """Tokens of output."""
        return self.reasoning + self.spoken


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An answer on its way. said: the pieces of its text, as many as the cap lets through. tier: what it costs."""

    asked: Asked
    number: int
    said: Sequence[Piece]
    ending: Ending
    usage: BilledTokens
    tier: str
    fingerprint: str

    @property
    def text(self) -> str:
        """What is said."""
        return "".join(piece.text for piece in self.said)

    @property
    def named_tier(self) -> str:
        """The tier that it says served it: none is named after batches."""
        return "default" if self.tier == BATCH else self.tier


def prompt_tokens(asked: Asked) -> int:
    """Return the tokens of a request's text and images."""
    sizes = zip(asked.images, asked.details, strict=True)
    images = sum(image_tokens(asked.served, pixels.shape[1], pixels.shape[0], detail) for pixels, detail in sizes)
    return text_tokens(asked.messages) + images


def used(asked: Asked, spoken: int, *, reasoning: int, cached: float, written: float, tier: str) -> BilledTokens:
    """Return the usage of an answer. cached, written: shares of the prompt, and of the rest of it."""
    prompt = prompt_tokens(asked)
    read = int(prompt * cached)
    write = int((prompt - read) * written)
    paid = price(asked.served, tier, plain=prompt - read - write, cached=read, written=write, output=reasoning + spoken)
    return BilledTokens(prompt=prompt, cached=read, written=write, reasoning=reasoning, spoken=spoken, picodollars=paid)


def reply(outcome: Outcome) -> dict[str, Any]:
    """Return the body of a success."""
    return _completion(outcome) if outcome.asked.api == "chat" else _response(outcome)


def error(refused: Refused) -> dict[str, Any]:
    """Return the body of an error."""
    said = {"message": str(refused), "type": refused.kind, "param": refused.param, "code": refused.code}
    return {"error": said}


def model(name: str) -> dict[str, Any]:
    """Return how a model is listed."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "emulator"}


# --- chat completions ---


def _completion(outcome: Outcome) -> dict[str, Any]:
    asked, usage, refused = outcome.asked, outcome.usage, outcome.ending == "refusal"
    message: dict[str, Any] = {"role": "assistant", "content": None if refused else outcome.text, "annotations": []}
    choice = {
        "index": 0,
        "message": message | {"refusal": REFUSAL if refused else None},
        "logprobs": None if asked.alternatives is None else _logprobs(outcome),
        "finish_reason": "stop" if refused else outcome.ending,
    }
    return {
        "id": f"chatcmpl-{outcome.number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.served.snapshot,
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.output,
            "total_tokens": usage.prompt + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        },
        "service_tier": outcome.named_tier,
        "system_fingerprint": outcome.fingerprint,
    }


def _logprobs(outcome: Outcome) -> dict[str, Any]:
    return {"content": [_token(piece, outcome.asked.alternatives or 0) for piece in outcome.said], "refusal": None}


def _token(piece: Piece, alternatives: int) -> dict[str, Any]:
    top = [_logprob(text, logprob) for text, logprob in piece.alternatives[:alternatives]]
    return _logprob(piece.text, piece.logprob) | {"top_logprobs": top}


def _logprob(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob}


# --- responses ---


def _response(outcome: Outcome) -> dict[str, Any]:
    asked, usage = outcome.asked, outcome.usage
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(outcome.ending)
    return {
        "id": f"resp_{outcome.number}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if reason is None else "incomplete",
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "instructions": None,
        "metadata": {},
        "model": asked.served.snapshot,
        "output": _output(outcome),
        "parallel_tool_calls": True,
        "temperature": asked.temperature,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.prompt + usage.output,
        },
        "service_tier": outcome.named_tier,
    }


def _output(outcome: Outcome) -> list[dict[str, Any]]:
    thought = [{"id": f"rs_{outcome.number}", "type": "reasoning", "summary": []}] if outcome.usage.reasoning else []
    if not outcome.text and outcome.ending != "refusal":
        return thought
    message = {
        "id": f"msg_{outcome.number}",
        "type": "message",
        "role": "assistant",
        "status": "completed" if outcome.ending in ("stop", "refusal") else "incomplete",
        "content": [_content(outcome)],
    }
    return [*thought, message]


def _content(outcome: Outcome) -> dict[str, Any]:
    if outcome.ending == "refusal":
        return {"type": "refusal", "refusal": REFUSAL}
    logprobs = [] if outcome.asked.alternatives is None else _logprobs(outcome)["content"]
    return {"type": "output_text", "text": outcome.text, "annotations": [], "logprobs": logprobs}
