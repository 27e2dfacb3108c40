"""What goes wrong at OpenAI, besides what goes wrong at every server: decided by a seed and a request's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from oracles.emulators import _faults

if TYPE_CHECKING:
    from oracles.emulators._openai_reply import Ending


@dataclass(frozen=True, kw_only=True)
class Faults(_faults.Faults):
    """The faults of every emulator, and what only a language model's vendor does.

    Shares of the answered requests, from 0 to 1: refusal: refused by the model. content_filter: withheld by a filter.
    tier_change: served at the default tier though flex was asked for. All are billed.

    cached: share of each prompt that is read from a cache. cache_written: share of the rest that is written to one.
    tokens_per_minute: above which requests are told to slow down, over any `window` seconds; each counts for its
    output cap or its prompt, whichever is more; 0 for no limit. drift_after: requests after which another system
    fingerprint answers; 0 for never.

    Raises:
        UsageError: a number is negative or not finite, or the shares exceed 1.
    """

    refusal: float = 0.0
    content_filter: float = 0.0
    tier_change: float = 0.0
    cached: float = 0.0
    cache_written: float = 0.0
    tokens_per_minute: float = 0.0
    drift_after: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("tier_change", "cached", "cache_written"):
            if getattr(self, name) > 1:
                raise UsageError(f"{name} is a share: at most 1, not {getattr(self, name):g}")
        if self.refusal + self.content_filter > 1:
            raise UsageError("refusal and content_filter are shares of the same answers: at most 1 together")

    def ending(self, request: int) -> Ending:
        """Return how the answer to request number `request` ends; it depends on nothing else."""
        share = np.random.default_rng((self.seed, request, 0)).random()
        if share < self.refusal:
            return "refusal"
        return "content_filter" if share < self.refusal + self.content_filter else "stop"

    def changes_tier(self, request: int) -> bool:
        """Return whether request number `request` is served at the default tier."""
        return bool(np.random.default_rng((self.seed, request, 1)).random() < self.tier_change)


NO_FAULTS = Faults()
