"""A failure inside a success: gateways answer 200 and put the error of the provider behind them into the body."""

from __future__ import annotations

from typing import Any

from oracles._http import refusals
from oracles._http.refusals import Complaint


def failure_in(content: dict[str, Any]) -> Complaint | None:
    """Return the failure of which the JSON of a success tells, whole or in its first choice; None for none."""
    choices = content.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    found = refusals.within(choice) or refusals.within(content)
    if found is None and choice.get("finish_reason") == "error":
        return Complaint("the provider broke off while it answered")
    if found is None and content.get("status") == "failed":
        return Complaint("it does not say why")
    return found
