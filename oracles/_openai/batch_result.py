"""One line of a batch's results, read: whose it is, and the answer or why there is none.

1. A line that was never worked on, since the batch expired or was cancelled, was not charged: `Unasked`.
2. A line with a response of its own means what that response would have meant outside a batch
   (`oracles._http.refusals`): 4xx was refused before any work, 5xx and 408 may have been charged.
3. Any other error, such as the vendor's own time-out, may have been charged: `OutcomeUnknown`.
4. What cannot be read was answered, so it was charged: `MalformedAnswer`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from bbquery.errors import MalformedAnswer, NotBilled, OracleError, OutcomeUnknown
from bbquery.types import NoAnswer, Reply
from oracles._http import refusals
from oracles._openai.reply import Unreadable, parsed
from oracles._shared.numbers import whole
from oracles._shared.texts import brief, shortened

Read: TypeAlias = Callable[[dict[str, Any]], Reply | OracleError]
"""Reads the body of a success."""

NOT_WORKED_ON = frozenset({"batch_expired", "batch_cancelled"})
OK, MOST_STATUS = 200, 999
NAME = re.compile(rb'"custom_id"\s*:\s*"([^"\\]+)"')


class Unasked(NotBilled):
    """The model never saw it, so nothing is charged, and it may be asked again."""

    retryable = True


def result(line: bytes, answered: Read, oracle: str) -> tuple[str, Reply | OracleError]:
    """Return whose a line is, "" where that cannot be read, and what it says.

    answered: reads the body of a success. oracle: who failed, in errors.
    """
    try:
        content = parsed(line)
    except Unreadable as fault:
        return _named(line), MalformedAnswer(f"a line of results cannot be read: {fault}", oracle=oracle)
    name = content.get("custom_id")
    return name if isinstance(name, str) else "", _said(content, answered, oracle)


def _named(line: bytes) -> str:
    """Return the name in a line that is no JSON, since what it answers is paid whether or not it can be read."""
    found = NAME.search(line)
    return found[1].decode(errors="replace") if found else ""


def _said(content: dict[str, Any], answered: Read, oracle: str) -> Reply | OracleError:
    match content:
        case {"response": {"body": dict(body), **response}} if response.get("status_code") in (OK, str(OK), None):
            return answered(body)  # whatever else the line says, it was worked on and is paid
        case {"error": dict(error)} if error:
            return _never_answered(error, oracle)
        case {"response": {"status_code": status, **response}} if (whole(status, MOST_STATUS) or 0) >= 300:
            return _refused(int(status), response.get("body"), oracle)
        case {"error": dict(error)}:
            return _never_answered(error, oracle)
    said = brief(content)
    return MalformedAnswer(f"a line of results holds neither an answer nor an error: {said}", oracle=oracle)


def _never_answered(error: dict[str, Any], oracle: str) -> OracleError:
    code = str(error.get("code"))
    said = shortened(f"{code}: {error.get('message')}")
    if code in NOT_WORKED_ON:
        return Unasked(f"the batch ended before its turn ({said})", oracle=oracle)
    return OutcomeUnknown(f"the line failed in its batch ({said})", oracle=oracle)


def _refused(status: int, body: object, oracle: str) -> Reply | OracleError:
    complaint = refusals.of(body)
    said = f"a line of the batch gave {status}: {shortened(complaint.message)}"
    found = refusals.outcome(complaint, said, oracle=oracle, status=status)
    return Reply(found) if isinstance(found, NoAnswer) else found
