"""Faults of language models' vendors beside those of every server, decided by a seed and a request's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from oracles.emulators import _faults

Ending: TypeAlias = Literal["stop", "length", "content_filter", "refusal"]
"""How an answer ends."""


@dataclass(frozen=True, kw_only=True)
class LanguageFaults(_faults.Faults):
    """The faults of every emulator, and what only a language model's vendor does.

    Shares of the answered requests, from 0 to 1: refusal: refused by the model. content_filter: withheld by a filter.
    Both are billed.

    cached: share of each prompt that is read from a cache. cache_written: share of the rest that is written to one.

    Raises:
        UsageError: a number is negative or not finite, or the shares exceed 1.
    """

    refusal: float = 0.0
    content_filter: float = 0.0
    cached: float = 0.0
    cache_written: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cached", "cache_written"):
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


NO_FAULTS = LanguageFaults()
