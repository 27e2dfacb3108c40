"""Retry policy, carried out by tenacity.

What was provably not billed costs nothing to ask again; an unknown outcome may be billed each time, and an answer that
cannot be read is. Each try holds its own worst case. An oracle that says how long to wait is obeyed; otherwise the wait
grows exponentially with jitter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tenacity

from bbquery.errors import MalformedAnswer, OracleError, RateLimited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST_DOUBLINGS = 64  # of the first wait: longer than any longest wait, and still a float


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often one query is tried, first try included, by how the try ended; and seconds of back-off."""

    rate_limited: int = 30
    not_billed: int = 6
    unknown: int = 6
    unreadable: int = 3
    first_wait: float = 0.5
    longest_wait: float = 30.0

    def retrying(self, sleep: Callable[[float], Awaitable[None]], seed: int) -> tenacity.AsyncRetrying:
        """Return a fresh retry loop for one query; the last error is raised as it was."""
        rule = _Rule(self, np.random.default_rng(seed))
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, OracleError) and e.retryable),
            stop=rule.stop,
            wait=rule.wait,
            sleep=sleep,
            reraise=True,
        )


class _Rule:
    """Counts how the tries of one query ended."""

    def __init__(self, policy: RetryPolicy, rng: np.random.Generator) -> None:
        self._policy, self._rng = policy, rng
        self._ended: Counter[str] = Counter()

    def stop(self, state: tenacity.RetryCallState) -> bool:
        error = _error(state)
        if isinstance(error, RateLimited):
            kind, allowed = "rate_limited", self._policy.rate_limited
        elif isinstance(error, MalformedAnswer):
            kind, allowed = "unreadable", self._policy.unreadable
        elif isinstance(error, OracleError) and error.outcome == "voided":
            kind, allowed = "not_billed", self._policy.not_billed
        else:
            kind, allowed = "unknown", self._policy.unknown
        self._ended[kind] += 1
        return self._ended[kind] >= allowed

    def wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if isinstance(error, OracleError) and error.retry_after is not None:
            return error.retry_after
        doublings = min(state.attempt_number - 1, MOST_DOUBLINGS)
        backoff = min(self._policy.first_wait * 2.0**doublings, self._policy.longest_wait)
        return float(backoff * self._rng.uniform(0.5, 1.0))


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
