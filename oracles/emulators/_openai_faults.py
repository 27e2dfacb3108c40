"""Faults of OpenAI beside those of every language model, decided by a seed and a request's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UsageError
from oracles.emulators import _faults
from oracles.emulators._language_faults import LanguageFaults

BatchKind: TypeAlias = Literal["rate_limited", "quota", "server_error", "dropped", "timeout", "made"]
"""What becomes of the request to make a batch."""


@dataclass(frozen=True, kw_only=True)
class Faults(LanguageFaults):
    """The faults of every language model's vendor, and what only OpenAI does.

    tier_change: share of the answered requests that are served, and billed, at the default tier though flex was asked
    for. tokens_per_minute: above which requests are asked to slow down, over any `window` seconds; each counts for its
    output cap or its prompt, whichever is more; 0 for no limit. drift_after: requests after which another system
    fingerprint answers; 0 for never.

    Shares of the requests to make a batch, from 0 to 1 together. Not made: batch_rate_limited, batch_quota: answered
    429. Made half of the time: batch_server_error: answered 500. Made, and nobody hears of it: batch_dropped: the
    connection is dropped. batch_timeout: never answered.

    Shares of the batches that are made, from 0 to 1 together: batch_invalid: fail as a whole. batch_expired: expire
    when the share batch_part of their lines is done. batch_truncated: share of downloads that are cut off half-way.
    item_error holds for the lines of batches: answered 500, half of them after the model has answered.

    Raises:
        UsageError: a number is negative or not finite, or the shares exceed 1.
    """

    tier_change: float = 0.0
    tokens_per_minute: float = 0.0
    drift_after: int = 0
    batch_rate_limited: float = 0.0
    batch_quota: float = 0.0
    batch_server_error: float = 0.0
    batch_dropped: float = 0.0
    batch_timeout: float = 0.0
    batch_invalid: float = 0.0
    batch_expired: float = 0.0
    batch_part: float = 0.5
    batch_truncated: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tier_change", "batch_part", "batch_truncated"):
            if getattr(self, name) > 1:
                raise UsageError(f"{name} is a share: at most 1, not {getattr(self, name):g}")
        self._check_batches()

    def _check_batches(self) -> None:
        if sum(self._batch_shares) > 1 + _faults.TENTHS or self.batch_invalid + self.batch_expired > 1:
            raise UsageError("the shares of batches that go wrong add up to more than 1")

    @property
    def _batch_shares(self) -> tuple[float, ...]:
        return tuple(getattr(self, f"batch_{kind}") for kind in get_args(BatchKind) if kind != "made")

    def batch_fate(self, number: int) -> tuple[BatchKind, bool]:
        """Return what becomes of request number `number` to make a batch, and whether it is made."""
        share, late = np.random.default_rng((self.seed, number, 2, 0)).random(2)
        kinds: tuple[BatchKind, ...] = get_args(BatchKind)
        kind = kinds[int(np.searchsorted(np.cumsum(self._batch_shares), share, side="right"))]
        return kind, kind in ("dropped", "timeout", "made") or (kind == "server_error" and bool(late < 0.5))

    def batch_end(self, number: int) -> Literal["invalid", "expired", "completed"]:
        """Return how batch number `number` ends, unless it is cancelled."""
        share = np.random.default_rng((self.seed, number, 2, 1)).random()
        if share < self.batch_invalid:
            return "invalid"
        return "expired" if share < self.batch_invalid + self.batch_expired else "completed"

    def line_fails(self, batch: int, line: int) -> tuple[bool, bool]:
        """Return whether a line of a batch fails alone, and whether the model answers it all the same."""
        fails, late = np.random.default_rng((self.seed, batch, 3, line)).random(2)
        return bool(fails < self.item_error), bool(late < 0.5)

    def truncates(self, download: int) -> bool:
        """Return whether download number `download` of results is cut off."""
        return bool(np.random.default_rng((self.seed, download, 4, 0)).random() < self.batch_truncated)

    def changes_tier(self, request: int) -> bool:
        """Return whether request number `request` is served at the default tier."""
        return bool(np.random.default_rng((self.seed, request, 1)).random() < self.tier_change)


NO_FAULTS = Faults()
