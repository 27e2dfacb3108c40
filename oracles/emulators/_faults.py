"""Faults of an emulated server, decided by a seed and a request's number, so that a rehearsal repeats.

Every emulator takes the same faults, each in its own protocol's terms. Where money is lost at a vendor's, it is lost
here: a request is billed if its model was run, whether or not the answer arrives.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UsageError

Kind: TypeAlias = Literal[
    "rate_limited", "quota", "server_error", "timeout", "dropped", "truncated", "junk", "drip", "answered"
]
FREE: frozenset[Kind] = frozenset({"rate_limited", "quota"})
DOUBTFUL: frozenset[Kind] = frozenset({"server_error", "dropped"})
"""Half of these happen after the model has answered."""

SERVER_ERRORS = (500, 503)
MINUTE = 60.0
TENTHS = 1e-9  # by which tenths that add up to 1 may exceed it


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one request.

    billed: whether the model is run. latency: seconds before anything is done. status: of a server_error.
    """

    kind: Kind
    billed: bool
    latency: float
    status: int


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How often each thing goes wrong. Shares are of requests, from 0 to 1 together; the rest is answered.

    seed: not negative. latency: mean seconds before a request is looked at; exponential, 0 for none.

    Not billed: rate_limited: share asked to slow down and wait `retry_after` seconds. quota: share answered that the
    account's quota is used up. Half of them billed, that is, after the model has answered: server_error: share answered
    that the server failed. dropped: share whose connection is dropped. Billed: timeout: share never answered.
    truncated: share that get half of their answer. junk: share that get a success which cannot be read. drip: share
    whose answer is right and comes in drops, for `drip_seconds`.

    item_error: share of the images in answered requests that fail alone, from 0 to 1.
    requests_per_minute: above which requests are asked to slow down, over any `window` seconds; 0 for no limit.

    Raises:
        UsageError: a number is negative or not finite, or the shares exceed 1.
    """

    seed: int = 0
    latency: float = 0.0
    rate_limited: float = 0.0
    retry_after: float = 1.0
    quota: float = 0.0
    server_error: float = 0.0
    timeout: float = 0.0
    dropped: float = 0.0
    truncated: float = 0.0
    junk: float = 0.0
    drip: float = 0.0
    drip_seconds: float = 1.0
    item_error: float = 0.0
    requests_per_minute: float = 0.0
    window: float = MINUTE

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise UsageError(f"{name} must be at least 0 and finite, not {value}")
        if sum(self._shares) > 1 + TENTHS:
            raise UsageError(f"the shares of failed requests add up to {sum(self._shares):g}: at most 1")
        if self.item_error > 1:
            raise UsageError(f"item_error is a share of images: at most 1, not {self.item_error:g}")
        if self.requests_per_minute and self.requests_per_minute * self.window < MINUTE:
            raise UsageError(
                f"{self.requests_per_minute:g} requests a minute are none in a window of {self.window:g} s"
            )

    @property
    def _shares(self) -> tuple[float, ...]:
        return tuple(getattr(self, kind) for kind in get_args(Kind) if kind != "answered")

    def fate(self, request: int) -> Fate:
        """Return what becomes of request number `request`, counted from 0; it depends on nothing else."""
        rng = np.random.default_rng((self.seed, request))
        latency = float(rng.exponential(self.latency))
        share, late, which = rng.random(3)
        kinds: tuple[Kind, ...] = get_args(Kind)
        kind = kinds[int(np.searchsorted(np.cumsum(self._shares), share, side="right"))]
        billed = kind not in FREE and (kind not in DOUBTFUL or bool(late < 0.5))
        return Fate(kind=kind, billed=billed, latency=latency, status=SERVER_ERRORS[int(which < 0.5)])

    def item_fails(self, request: int, item: int) -> bool:
        """Return whether image number `item` of a request, counted from 0, fails alone."""
        if not self.item_error:
            return False
        return bool(np.random.default_rng((self.seed, request, item)).random() < self.item_error)


NO_FAULTS = Faults()


class SlidingLimit:
    """An exact sliding window: what it admits in any `window` seconds never exceeds `per_minute` times that long.

    per_minute: requests, or tokens; 0 for no limit. Times are the caller's, in seconds, and never go back.
    """

    def __init__(self, per_minute: float, window: float = MINUTE) -> None:
        self.most = math.floor(per_minute * window / MINUTE) if per_minute else None
        self._window = window
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def take(self, now: float, amount: int = 1) -> float:
        """Admit `amount` and return 0, or admit nothing and return the seconds after which it will be admitted.

        The seconds are infinite for an amount that is never admitted.
        """
        self._forget(now)
        if self.most is None:
            return 0.0
        if amount > self.most:
            return math.inf
        if self._sum + amount <= self.most:
            self._taken.append((now, amount))
            self._sum += amount
            return 0.0
        return self._wait(now, self._sum + amount - self.most)

    def left(self, now: float) -> int:
        """Return what would be admitted now; 0 where there is no limit to count against."""
        self._forget(now)
        return 0 if self.most is None else self.most - self._sum

    def reset(self, now: float) -> float:
        """Return the seconds until the whole limit is there again."""
        self._forget(now)
        return self._wait(now, self._sum) if self._sum else 0.0

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] + self._window <= now:
            self._sum -= self._taken.popleft()[1]

    def _wait(self, now: float, excess: int) -> float:
        """Return the seconds until `excess` of what was taken has left the window."""
        totals = itertools.accumulate(amount for _, amount in self._taken)
        return next(
            time + self._window - now for (time, _), gone in zip(self._taken, totals, strict=True) if gone >= excess
        )
