"""Bills of emulators: what happened at the server, and dollars in integers.

The arithmetic is a bill's own, a second opinion beside the ledger's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from oracles.emulators._faults import Kind

PICODOLLARS = 10**12  # in a dollar

_COUNTED: dict[Kind, str] = {
    "server_error": "server_errors",
    "timeout": "timeouts",
    "dropped": "dropped",
    "truncated": "truncated",
    "junk": "junk",
    "drip": "dripped",
}
"""Where the bill counts what goes wrong once a request is admitted."""


@dataclass
class Bill:
    """What happened at the server.

    requests: to answer. images_received: in those that were right. images_answered: by the oracle, so billed, for
    `picodollars` and, where that is how it is billed, `tokens`. images_failed: alone, by fault. rate_limited, quota:
    requests refused for the one reason or the other. server_errors: answered 5xx. timeouts, dropped, truncated, junk,
    dripped: by fault. rejected: refused for good.
    """

    requests: int = 0
    images_received: int = 0
    images_answered: int = 0
    images_failed: int = 0
    picodollars: int = 0
    tokens: int = 0
    rate_limited: int = 0
    quota: int = 0
    server_errors: int = 0
    timeouts: int = 0
    dropped: int = 0
    truncated: int = 0
    junk: int = 0
    dripped: int = 0
    rejected: int = 0

    def count(self, kind: Kind) -> None:
        """Count what became of a request that was admitted, where it goes wrong."""
        if kind in _COUNTED:
            setattr(self, _COUNTED[kind], getattr(self, _COUNTED[kind]) + 1)


def picodollars(usd: str, option: str, units: int = 1) -> int:
    """Return what one of `units` costs that together cost `usd` dollars, in picodollars, rounded up.

    Raises:
        UsageError: the `option` is no amount.
    """
    try:
        amount = Fraction(usd)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} must be an amount of dollars, not {usd!r}") from None
    if amount < 0:
        raise UsageError(f"{option} must not be negative, and is {usd}")
    return math.ceil(amount * PICODOLLARS / units)
