"""Refusals of HTTP servers and what they mean for the money: one table for every oracle that speaks HTTP.

Servers wrap each other. A gateway passes on what its provider said as a JSON text within its own error, gives status
200 to a failure, or writes the provider's status as the error's code. So an error is read with all errors inside it,
and what it says of itself counts where its status says nothing.

1. A veto (the vendor's policy forbids an answer about this image) is an answer of a kind: `NoAnswer`, "filtered".
2. Refused before any work: 429 is `RateLimited`, as is 503 with the code slow_down; a code that names the account's
   quota, credit or spend limit is `QuotaExceeded` whatever its status below 500, and so are 402, a message that says
   that credit or a limit of spending is used up, and a 429 whose message names a quota of a day or longer and that does
   not say when to ask again; 401 is `KeyRefused`; other 4xx, and redirects, are `Rejected`.
3. Everything else is `OutcomeUnknown`, also 408, 409 and 499, with which gateways give up on a model that may well have
   answered, and a failure in a success that says that tokens were used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import KeyRefused, OracleError, OutcomeUnknown, QuotaExceeded, RateLimited, Rejected
from bbquery.types import NoAnswer
from oracles._http.waits import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

UNAUTHORIZED = 401
PAYMENT_REQUIRED, TOO_MANY_REQUESTS, UNAVAILABLE = 402, 429, 503
GIVEN_UP = frozenset({408, 409, 499})
MOVED = frozenset({301, 302, 307, 308})
WRONG_FIELD = frozenset({400, 404, 422})  # with which servers refuse a field of a request
SPENT = re.compile(r"quota|billing|spend_limit|usage_limit|credit|budget")
"""In the codes of an account that can pay no more: insufficient_quota, credit_balance_exhausted and their kin."""
SPENT_MESSAGE = re.compile(r"credit balance is too low|reached your specified (workspace )?api usage limits")
"""In the messages, lower-case, of Anthropic, whose code says no more than that the request is invalid."""
SPENT_WORDS = re.compile(r"\b(per|a|this)[ _-](day|week|month)\b|\b(daily|weekly|monthly)\b")
"""In the messages, lower-case, of quotas that only time or money brings back: free-models-per-day and its kin."""
WAIT_WORDS = re.compile(r"try(?: again| it)? (?:in|after) (\d[\dhmsd.]*)")
TOO_FAST = frozenset({"rate_limit_exceeded", "slow_down", "resource_unavailable", "too_many_requests"})

VETO_CODE = re.compile(
    r"content_?(management_)?polic|policy_?violation|content_?filter|moderation_blocked|invalid_prompt|"
    r"data_?inspection_?failed|responsible_?ai|safety|prohibited_?content"
)
VETO_WORDS = re.compile(
    r"content[ _-]?(management )?polic(y|ies)|content[ _-]?filter|contentpolicyviolation|usage polic(y|ies)|"
    r"safety (system|polic|filter|setting)|responsible ai|(requires|blocked by|flagged by|failed) (the )?(content )?"
    r"moderation|(input|image|prompt|request|content) (was|has been|were) flagged|inappropriate content|"
    r"prohibited content"
)
"""In the messages, lower-case, of vendors and gateways that say why they will not answer."""
NEVER_A_VETO = frozenset({401, 402, 404, 407, 408, 413, 429}) | MOVED

MOST_DEPTH = 6  # errors within errors: a gateway before a gateway before a vendor, with room
FINE = frozenset({"", "0", "200", "none", "null", "ok", "success"})  # "codes" of servers that always send an error
_MESSAGES = ("message", "msg", "error_message", "error_msg", "detail", "error")
_INNER = ("error", "errors", "message", "detail", "details", "metadata", "raw", "innererror", "inner_error", "cause")
WAITS = ("retryDelay", "estimated_time")
_STATUSES = ("code", "status", "status_code", "http_status")


@dataclass(frozen=True)
class Complaint:
    """An error as a server tells it.

    message: for people, with that of the innermost error where it says something else. codes: machine-readable reasons,
    lower-case, of all errors within. status: that of HTTP which the error itself names, None where it names none.
    vetoed: whether it says that the vendor's policy forbids an answer. field: of the request, which it names as the
    fault; "" where it names none in a place of its own. wait: seconds after which to ask again, None where it does not
    say.
    """

    message: str
    codes: frozenset[str] = frozenset()
    status: int | None = None
    vetoed: bool = False
    field: str = ""
    wait: float | None = None


def of_body(body: bytes) -> Complaint:
    """Return what the body of a refusal says; one that is no JSON object is a message as it is."""
    content = _json(body)
    return of(content) if content else _in_words(body.decode(errors="replace"))


def of(content: object) -> Complaint:
    """Return what the JSON of a refusal says."""
    errors = list(_errors(content))
    messages = list(dict.fromkeys(text for error in errors if (text := _message(error))))
    said = messages[0] if messages else str(content)
    if len(messages) > 1 and messages[-1] not in said:
        said = f"{said} ({messages[-1]})"
    codes = frozenset(code.lower() for error in errors for code in _codes(error))
    statuses = [status for error in errors if (status := _status(error)) is not None]
    fields = [field for error in errors if isinstance(field := error.get("param"), str)]
    return Complaint(
        message=said,
        codes=codes,
        status=next(iter(statuses), None),
        vetoed=any(map(_vetoes, errors)) or _forbids(said, codes),
        field=next(iter(fields), ""),
        wait=_wait(errors, said),
    )


def within(content: object) -> Complaint | None:
    """Return the failure that the JSON of a success tells of; None where it tells of none."""
    if not isinstance(content, dict):
        return None
    error = content.get("error")
    if _is_error(error) or content.get("object") == "error":
        return of(content)
    return None


def outcome(
    complaint: Complaint, said: str, *, oracle: str, status: int | None, wait: float | None = None
) -> OracleError | NoAnswer:
    """Return what became of an attempt that a server refused, or failed at.

    said: the complaint for people, with who was asked. status: of HTTP, None for a failure in a success that names
    none. wait: seconds to wait, if it says.
    """
    codes = complaint.codes
    if complaint.vetoed and status not in NEVER_A_VETO:
        return NoAnswer(said, "filtered")
    spent = not codes & TOO_FAST and (
        any(map(SPENT.search, codes)) or SPENT_MESSAGE.search(complaint.message.lower()) is not None
    )
    if status == PAYMENT_REQUIRED or (spent and (status is None or status < 500)):
        return QuotaExceeded(f"{said}; waiting does not help: see the account's billing page", oracle=oracle)
    wait = complaint.wait if wait is None else wait
    too_fast = status == TOO_MANY_REQUESTS or (status in (None, UNAVAILABLE) and codes & TOO_FAST)
    if too_fast and wait is None and SPENT_WORDS.search(complaint.message.lower()):
        return QuotaExceeded(f"{said}; it comes back with time, or with credit: see the account's page", oracle=oracle)
    if too_fast:
        return RateLimited(said, oracle=oracle, retry_after=wait)
    if status in MOVED or (status is not None and 400 <= status < 500 and status not in GIVEN_UP):
        return (KeyRefused if status == UNAUTHORIZED else Rejected)(said, oracle=oracle)
    return OutcomeUnknown(said, oracle=oracle, retry_after=wait)


def _wait(errors: Sequence[dict[str, Any]], said: str) -> float | None:
    """Return the seconds to wait that errors have in a field of their own, or else name in their message.

    Google's RetryInfo has a "retryDelay" of "46s"; Hugging Face an "estimated_time" until a model is loaded.
    """
    fields = (error.get(key) for error in errors for key in WAITS)
    waits = (duration(str(value)) for value in fields if value is not None)
    return next((wait for wait in waits if wait is not None), _wait_named(said))


def _wait_named(message: str) -> float | None:
    """Return the seconds to wait that a message names: "Please try again in 6m0s"."""
    found = WAIT_WORDS.search(message.lower())
    return None if found is None else duration(found[1].rstrip("."))


def field_named(complaint: Complaint, fields: Collection[str]) -> str | None:
    """Return which of these fields of a request an error names first; None where it names none.

    A name that may be a word of a sentence counts in quotes or in a path alone. Of a path its end counts first.
    """
    said = f"'{complaint.field}' {complaint.message}"
    for end in (r"\b(?!\.\w|\[)", r"\b"):
        found = {}
        for name in fields:
            begin = r"\b" if "_" in name else r"""['"`.]"""
            place = re.search(begin + re.escape(name) + end, said)
            if place is not None:
                found[place.start()] = name
        if found:
            return found[min(found)]
    return None


def _in_words(text: str) -> Complaint:
    return Complaint(text, vetoed=_forbids(text, frozenset()), wait=_wait_named(text))


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _errors(content: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Give an error and the errors within it, the outermost first."""
    if isinstance(content, str) and _is_wrapped(content):
        content = _json(content)  # as the provider sent it
    if isinstance(content, list):
        for part in content[:MOST_DEPTH]:
            yield from _errors(part, depth)
    if not isinstance(content, dict) or depth > MOST_DEPTH:
        return
    yield content
    for key in _INNER:
        yield from _errors(content.get(key), depth + 1)


def _message(error: dict[str, Any]) -> str:
    texts = (error.get(key) for key in _MESSAGES)
    found = next((text for text in texts if isinstance(text, str) and text.strip() and not _is_wrapped(text)), "")
    place = error.get("loc")  # where a FastAPI server found the fault
    return f"{found}: {'.'.join(map(str, place))}" if found and isinstance(place, list) else found


def _is_wrapped(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and bool(_json(text))


def _codes(error: dict[str, Any]) -> Iterator[str]:
    for key in ("code", "type", "error_code"):
        value = error.get(key)
        if isinstance(value, str) and not value.isdigit():
            yield value


def _status(error: dict[str, Any]) -> int | None:
    for key in _STATUSES:
        value = str(error.get(key))
        if len(value) == 3 and value.isascii() and value.isdecimal() and 400 <= int(value) < 600:
            return int(value)
    return None


def _vetoes(error: dict[str, Any]) -> bool:
    """Whether it lists what was found in the image: the reasons of a moderation."""
    return bool(error.get("flagged_input")) and bool(error.get("reasons"))


def _forbids(said: str, codes: frozenset[str]) -> bool:
    return any(map(VETO_CODE.search, codes)) or VETO_WORDS.search(said.lower()) is not None


def _is_error(error: object) -> bool:
    """Whether what stands under "error" tells of one: many servers always send the field."""
    if isinstance(error, str):
        return error.strip().lower() not in FINE
    if not isinstance(error, dict):
        return False
    return bool(_message(error)) or any(str(error.get(key) or "").lower() not in FINE for key in ("code", "type"))
