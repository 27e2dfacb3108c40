"""Everything of a request but its image: checked once, laid out as bytes once, so that a request is a join of bytes."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oracles._openai.models import ModelRules

Api: TypeAlias = Literal["chat", "responses"]
Detail: TypeAlias = Literal["low", "high"]
Tier: TypeAlias = Literal["default", "flex"]
CapName: TypeAlias = Literal["max_completion_tokens", "max_tokens"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "unset"]
"""As the vendor has it; "unset": the request does not say."""

Temperature: TypeAlias = float | Literal["usual"] | None
"""What is sent; "usual": 0 where the model takes one; None: the request does not say."""

PATHS: Mapping[Api, str] = {"chat": "/chat/completions", "responses": "/responses"}
MOST_ALTERNATIVES = 20  # to a token, that the vendor lists
HOTTEST = 2.0  # of the vendor's temperatures
OPEN_CAP, CLASS_CAP = 64, 16  # tokens of output; 16 is also the least that the responses API takes
REASONING_CAP = 1024  # more, where a model reasons first: at low effort the vendor's models mostly need less
NOT_IN_BATCH = ("service_tier", "stream")
DATA_URL = "data:image/png;base64,"


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A request about an image, without the image. max_tokens: of output, reasoning included. None: not sent."""

    api: Api
    model: str
    prompt: str
    detail: Detail | None
    max_tokens: int
    cap_name: CapName | None = "max_completion_tokens"
    tier: Tier | None = "default"
    top_logprobs: int = 0
    temperature: float | None = None
    seed: int | None = None
    reasoning_effort: Effort | None = None
    store: bool | None = False
    stream: bool | None = False

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError("model is empty: give the name of a model, such as gpt-4o-mini")
        if not self.prompt.strip() or not _is_utf8(self.prompt):
            raise UsageError("prompt must be text that is not empty")
        if self.max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, not {self.max_tokens}")
        if not 0 <= self.top_logprobs <= MOST_ALTERNATIVES:
            raise UsageError(f"top_logprobs must be 0 to {MOST_ALTERNATIVES}, not {self.top_logprobs}")
        if self.temperature is not None and not 0 <= self.temperature <= HOTTEST:
            raise UsageError(f"temperature must be 0 to {HOTTEST:g}, not {self.temperature}")
        if self.stream:
            raise UsageError("answers are read in one piece: leave stream out, or say stream=none to send none")
        if self.api == "responses" and self.seed is not None:
            raise UsageError("the responses API takes no seed: leave seed out or say api=chat")

    @property
    def price_tier(self) -> Tier:
        """The service tier at whose price it is held: the server's usual one where the request names none."""
        return self.tier or "default"

    @property
    def optional(self) -> dict[str, str]:
        """What can be done about each optional field that is sent, by its name, where a server does not take it."""
        effort = "say reasoning_effort=unset, or give another"
        other = "max_tokens" if self.cap_name == "max_completion_tokens" else "max_completion_tokens"
        cap = f"say cap_name={other}, or cap_name=none with the most that an answer may take as max_tokens"
        mends = {
            "service_tier": "say tier=none",
            "temperature": "say temperature=none",
            "seed": "leave out seed",
            "reasoning_effort": effort,
            "reasoning": effort,
            "max_completion_tokens": cap,
            "max_tokens": cap,
            "max_output_tokens": "say cap_name=none with the most that an answer may take as max_tokens",
            "top_logprobs": "leave out top_logprobs",
            "logprobs": "leave out top_logprobs",
            "include": "leave out top_logprobs",
            "store": "say store=none",
            "stream": "say stream=none",
        }
        sent = {name: mend for name, mend in mends.items() if name in self._content}
        return sent if self.detail is None else sent | {"detail": "say detail=none, and image_tokens=2000 or so"}

    @property
    def identity(self) -> dict[str, str | int | float | None]:
        """What of it decides the answers: not the service tier, nor what the cap is called."""
        decisive = ("api", "model", "prompt", "detail", "max_tokens", "top_logprobs", "temperature", "seed")
        found = {name: getattr(self, name) for name in (*decisive, "reasoning_effort")}
        return found if self.cap_name is not None else found | {"max_tokens": None}

    def body(self, png: bytes) -> bytes:
        """Return the whole body of a request that asks it about an image, given as a PNG file."""
        before, after = self._around
        return b"".join((before, base64.b64encode(png), after))

    def in_batch(self, body: bytes) -> bytes:
        """Return the same request as a batch asks it: a batch is a service tier of its own, and nothing is streamed."""
        before, after = self._around
        image = body[len(before) : len(body) - len(after)]
        before, after = self._around_in_batch
        return b"".join((before, image, after))

    @property
    def _content(self) -> dict[str, Any]:
        return _chat(self) if self.api == "chat" else _responses(self)

    @cached_property
    def _around(self) -> tuple[bytes, bytes]:
        return _around_image(self._content)

    @cached_property
    def _around_in_batch(self) -> tuple[bytes, bytes]:
        return _around_image({name: value for name, value in self._content.items() if name not in NOT_IN_BATCH})


def _around_image(content: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the JSON before and after the image's base64: the last string in it, whatever the prompt holds."""
    before, mark, after = json.dumps(content, separators=(",", ":")).rpartition(DATA_URL)
    return (before + mark).encode(), after.encode()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _chat(request: ImageRequest) -> dict[str, Any]:
    image = _given(url=DATA_URL, detail=request.detail)
    parts = [{"type": "text", "text": request.prompt}, {"type": "image_url", "image_url": image}]
    logprobs = {"logprobs": True, "top_logprobs": request.top_logprobs} if request.top_logprobs else {}
    return _given(
        model=request.model,
        stream=request.stream,  # some gateways stream unless they are asked not to
        service_tier=request.tier,
        temperature=request.temperature,
        seed=request.seed,
        reasoning_effort=_effort(request),
        **({} if request.cap_name is None else {request.cap_name: request.max_tokens}),
        **logprobs,
        messages=[{"role": "user", "content": parts}],
    )


def _responses(request: ImageRequest) -> dict[str, Any]:
    image = _given(type="input_image", image_url=DATA_URL, detail=request.detail)
    parts = [{"type": "input_text", "text": request.prompt}, image]
    logprobs = (
        {"include": ["message.output_text.logprobs"], "top_logprobs": request.top_logprobs}
        if request.top_logprobs
        else {}
    )
    return _given(
        model=request.model,
        stream=request.stream,
        service_tier=request.tier,
        temperature=request.temperature,
        reasoning={"effort": _effort(request)} if _effort(request) else None,
        max_output_tokens=None if request.cap_name is None else request.max_tokens,
        store=request.store,  # the vendor keeps images otherwise
        **logprobs,
        input=[{"role": "user", "content": parts}],
    )


def _given(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _effort(request: ImageRequest) -> Effort | None:
    return None if request.reasoning_effort == "unset" else request.reasoning_effort


def sampling(
    name: str, model: ModelRules | None, *, temperature: Temperature, top_logprobs: int, effort: Effort | None
) -> tuple[float | None, Effort | None]:
    """Return the temperature and the reasoning effort to send, None (or "unset" by a model that reasons) for neither.

    Where nothing is said, a model answers as repeatably as it can: without reasoning if it may, at temperature 0 if it
    takes one, and else at low effort.

    Raises:
        UsageError: the model takes no such options.
    """
    rule = model.sampling if model is not None else "always"
    coldest = 0.0 if temperature == "usual" else temperature
    if rule == "always":
        if effort not in (None, "unset") and model is not None:
            raise UsageError(f"{name} does not reason: leave reasoning_effort out")
        return coldest, None if effort == "unset" else effort
    effort = effort or ("none" if rule == "without reasoning" else "low")
    if rule == "without reasoning" and effort == "none":
        return coldest, effort
    if effort == "unset":  # whether it reasons is then the server's choice
        return (None if temperature == "usual" else temperature), effort
    if top_logprobs or temperature not in (None, "usual"):
        wanted = "top_logprobs" if top_logprobs else "temperature"
        advice = "say reasoning_effort=none" if rule == "without reasoning" else "leave it out or ask gpt-4o or gpt-4.1"
        raise UsageError(f"{name} takes no {wanted} while it reasons: {advice}")
    return None, effort


def cap(max_tokens: int | None, classes: Sequence[str], effort: Effort | None) -> int:
    """Return the output cap: as given, or enough for what is asked and for reasoning first."""
    if max_tokens is not None:
        return max_tokens
    return (CLASS_CAP if classes else OPEN_CAP) + (0 if effort in (None, "none") else REASONING_CAP)


def likely_output(request: ImageRequest, classes: Sequence[str]) -> int:
    """Return the likely tokens of an answer: a class's name or a sentence, after half of what reasoning may take."""
    spoken = math.ceil(max(map(len, classes)) / 4) + 1 if classes else 24
    reasoned = 0 if request.reasoning_effort in (None, "none") else REASONING_CAP // 2
    return min(request.max_tokens, spoken + reasoned)
