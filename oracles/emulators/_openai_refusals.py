"""Refusals of OpenAI: for the rate, for the account's quota, or because it failed itself."""

from __future__ import annotations

import math

from oracles.emulators._openai_request import Refused

QUOTA = "insufficient_quota"


class TooFast(Refused):
    """A rate limit is reached; `headers` say how long to wait, unless waiting is no help."""

    def __init__(self, unit: str, wait: float) -> None:
        until = f"Please try again in {duration(wait)}." if math.isfinite(wait) else "The request is too large for it."
        super().__init__(429, f"Rate limit reached on {unit}. {until}", kind=unit, code="rate_limit_exceeded")
        self.headers: dict[str, str] = {}
        if math.isfinite(wait):
            self.headers = {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}


def spent() -> Refused:
    said = "You exceeded your current quota, please check your plan and billing details."
    return Refused(429, said, kind=QUOTA, code=QUOTA)


def broken(status: int) -> Refused:
    if status == 500:
        return Refused(status, "The server had an error while processing your request.", kind="server_error")
    said, kind = "The engine is currently overloaded, please try again later.", "service_unavailable_error"
    return Refused(status, said, kind=kind, code="server_is_overloaded")


def duration(seconds: float) -> str:
    """Return a duration as the vendor's headers have it: "6m0s", "1.5s", "20ms"."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
