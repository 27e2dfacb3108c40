"""A reply of either API, read: the answer, what it used, and who served it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.types import NoAnswer, Text, Token
from oracles._http import refusals
from oracles._http.event_stream import STREAMED, is_stream
from oracles._http.refusals import Complaint
from oracles._shared.blank import spoken_or_none
from oracles._shared.numbers import finite, whole
from oracles._shared.texts import brief, one_line, shortened
from oracles._shared.token_cost import MOST_TOKENS, TokenCounts

if TYPE_CHECKING:
    from bbquery.types import Answer
    from oracles._openai.request import Api

TEXTS = ("text", "output_text")  # kinds of parts
UNFINISHED = ("in_progress", "queued", "cancelled", "failed")  # of the states of a response
ROUNDING = 1e-3  # by which the logarithm of a probability of 1 may stray above 0


class Unreadable(ValueError):
    """A success that is not what the API promises; usage is what it says it used, None where it does not."""

    def __init__(self, message: str, usage: TokenCounts | None = None) -> None:
        self.usage = usage
        super().__init__(message)


@dataclass(frozen=True)
class ApiReply:
    """A successful reply. usage, served and tier are None where the server does not say."""

    answer: Answer
    usage: TokenCounts | None
    served: str | None
    tier: str | None


def understood(api: Api, content: dict[str, Any]) -> ApiReply:
    """Return what the JSON of a success says.

    Raises:
        Unreadable: as `read`.
    """
    used = usage(content.get("usage"))
    try:
        answer = _chat(content) if api == "chat" else _responses(content)
    except Unreadable as fault:
        raise Unreadable(str(fault), used) from None
    return ApiReply(answer, used, _served(content), _tier(content))


def failure_in(content: dict[str, Any]) -> Complaint | None:
    """Return the failure of which the JSON of a success tells, whole or in its first choice; None for none.

    Gateways answer 200 and put the error of the provider behind them into the body.
    """
    choices = content.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    found = refusals.within(choice) or refusals.within(content)
    if found is None and choice.get("finish_reason") == "error":
        return Complaint("the provider broke off while it answered")
    if found is None and content.get("status") == "failed":
        return Complaint("it does not say why")
    return found


def parsed(body: bytes) -> dict[str, Any]:
    """Return the object of JSON that `body` is.

    Raises:
        Unreadable: it is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        if is_stream(body):
            raise Unreadable(STREAMED) from None
        raise Unreadable(f"it is not JSON ({error}): {shortened(body[:80].decode(errors='replace'))}") from None
    if not isinstance(content, dict):
        raise Unreadable(f"it is no JSON object: {brief(content)}")
    return content


def _dict(value: object) -> dict[str, Any]:
    """Return an object of JSON; what is none counts as an empty one."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    """Return a list of JSON; what is none counts as an empty one."""
    return value if isinstance(value, list) else []


def _served(content: dict[str, Any]) -> str | None:
    named = (_string(content, "model"), _string(content, "system_fingerprint"))
    return " ".join(one_line(name) for name in named if name) or None


def _tier(content: dict[str, Any]) -> str | None:
    return one_line(_string(content, "service_tier") or "") or None


def _string(content: dict[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) and value else None


def usage(said: object) -> TokenCounts | None:
    """Return the tokens that a reply of either API says it used; None where they are missing or cannot be."""
    if not isinstance(said, dict):
        return None
    details = _dict(said.get("prompt_tokens_details") or said.get("input_tokens_details"))
    counts = (
        _either(said, "prompt_tokens", "input_tokens"),
        _either(said, "completion_tokens", "output_tokens"),
        whole(details.get("cached_tokens") or 0, MOST_TOKENS),
        whole(details.get("cache_write_tokens") or 0, MOST_TOKENS),
    )
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return None
    used = TokenCounts(*known)
    return used if used.cached + used.written <= used.input else None


def _either(said: dict[str, Any], *names: str) -> int | None:
    """Return the count under the first of these names that has one."""
    counts = (whole(said.get(name), MOST_TOKENS) for name in names)
    return next((count for count in counts if count is not None), None)


def _chat(content: dict[str, Any]) -> Answer:
    match content:
        case {"choices": [{"message": dict(message), **choice}, *_]}:
            return _answer(
                _joined(message.get("content")),
                _string(message, "refusal") or _refusal(_list(message.get("content"))),
                choice.get("finish_reason"),
                _dict(choice.get("logprobs")).get("content"),
            )
    raise Unreadable("it holds no choice with a message")


def _responses(content: dict[str, Any]) -> Answer:
    match content:
        case {"output": list(items), **rest} if rest.get("status") not in UNFINISHED:
            parts = [part for item in items for part in _parts(item)]
            logprobs = [token for part in parts for token in _list(_dict(part).get("logprobs"))]
            reason = _dict(rest.get("incomplete_details")).get("reason")
            return _answer(_joined(parts), _refusal(parts), reason, logprobs)
    raise Unreadable("it holds no output of a finished response")


def _parts(item: object) -> list[Any]:
    match item:
        case {"type": "message", "content": list(parts)}:
            return parts
        case {"type": "message", "content": str(text)}:
            return [{"type": TEXTS[0], "text": text}]
    return []


def _joined(content: object) -> object:
    """Return the content of a message as a text: of a list of parts those that are text, not reasoning or images."""
    return "".join(map(_text, content)) if isinstance(content, list) else content or ""


def _text(part: object) -> str:
    match part:
        case str():
            return part
        case {"text": str(text), **rest} if rest.get("type") in (*TEXTS, None):
            return text
    return ""


def _refusal(parts: list[Any]) -> str | None:
    found = (_string(part, "refusal") for part in map(_dict, parts) if part.get("type") == "refusal")
    return next(filter(None, found), None)


def _answer(text: object, refusal: str | None, ended: object, logprobs: object) -> Answer:
    """Return what was said, or why nothing was."""
    if not isinstance(text, str):
        raise Unreadable(f"its text is no text: {brief(text)}")
    if refusal is not None and refusal.strip():
        return NoAnswer(shortened(refusal), "refused")
    if ended == "content_filter":
        return NoAnswer("the vendor's filter withheld the answer", "filtered")
    cut_off = ended in ("length", "max_output_tokens")
    return spoken_or_none(Text(text, _tokens(logprobs)), ended=ended, is_cut_off=cut_off)


def _tokens(listed: object) -> tuple[Token, ...]:
    """Return the tokens up to the first whose log-probability is nowhere: what follows it says nothing alone."""
    tokens: list[Token] = []
    for item in _list(listed):
        token = _token(_dict(item))
        if token is None:
            break
        tokens.append(token)
    return tuple(tokens)


def _token(item: dict[str, Any]) -> Token | None:
    """Return a token; a log-probability that is missing is that of the alternative that it is itself."""
    read = [_pair(other) for other in _list(item.get("top_logprobs"))]
    alternatives = tuple(pair for pair in read if pair is not None)
    text, own = item.get("token"), _pair(item)
    logprob = dict(alternatives).get(str(text)) if own is None else own[1]
    return Token(text, logprob, alternatives) if isinstance(text, str) and logprob is not None else None


def _pair(item: object) -> tuple[str, float] | None:
    """Return a text and its log-probability; None where either is missing or cannot be."""
    said = _dict(item)
    text, logprob = said.get("token"), finite(said.get("logprob"))
    if not isinstance(text, str) or logprob is None or logprob > ROUNDING:
        return None
    return text, min(logprob, 0.0)
