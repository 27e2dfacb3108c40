"""What goes wrong at an emulated server: decided by a seed and a request's number, so that a rehearsal repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UsageError

Kind: TypeAlias = Literal["rate_limited", "server_error", "dropped", "truncated", "answered"]
SERVER_ERRORS = (500, 503)


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one request.

    billed: whether the oracle is run. latency: seconds before anything is done. status: of a server_error.
    """

    kind: Kind
    billed: bool
    latency: float
    status: int


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often each thing goes wrong. Shares are of requests, from 0 to 1 together; the rest is answered.

    seed: not negative. latency: mean seconds before a request is looked at; exponential, 0 for none.
    rate_limited: share told 429, with `retry_after` seconds to wait. server_error: share told 500 or 503, half of them
    after the oracle has answered. dropped: share whose connection is dropped, half of them after the oracle has
    answered. truncated: share that get half of their answer.

    Raises:
        UsageError: a number is negative or not finite, or the shares exceed 1.
    """

    seed: int = 0
    latency: float = 0.0
    rate_limited: float = 0.0
    retry_after: float = 1.0
    server_error: float = 0.0
    dropped: float = 0.0
    truncated: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise UsageError(f"{name} must be at least 0 and finite, not {value}")
        if sum(self._shares) > 1 + 1e-9:  # 1e-9: tenths do not add up exactly
            raise UsageError(f"the shares of failed requests add up to {sum(self._shares):g}: at most 1")

    @property
    def _shares(self) -> tuple[float, ...]:
        return self.rate_limited, self.server_error, self.dropped, self.truncated

    def fate(self, request: int) -> Fate:
        """Return what becomes of request number `request`, counted from 0; it depends on nothing else."""
        rng = np.random.default_rng((self.seed, request))
        latency = float(rng.exponential(self.latency))
        share, late, which = rng.random(3)
        kinds: tuple[Kind, ...] = get_args(Kind)
        kind = kinds[int(np.searchsorted(np.cumsum(self._shares), share, side="right"))]
        billed = kind in ("answered", "truncated") or (kind in ("server_error", "dropped") and bool(late < 0.5))
        return Fate(kind=kind, billed=billed, latency=latency, status=SERVER_ERRORS[int(which < 0.5)])


NO_FAULTS = Faults()
