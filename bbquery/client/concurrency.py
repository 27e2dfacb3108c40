"""Adaptive concurrency: requests in flight at an oracle of unknown limits, grown until it objects.

The controller of inspect_ai, as measured there: start at 20; double after each clean round until the first rate limit,
from then on grow by a twentieth; cut to four fifths on a rate limit, but once per burst, since all of a burst's
refusals are one event. It grows only where the limit was reached, and a failing server pauses growth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.system.clock import Clock

FIRST = 20
CUT = 0.8
GROWTH = 1.05  # after the first rate limit
SECONDS_BETWEEN_CUTS = 15.0  # refusals closer together are one event


class Concurrency:
    """The number of requests that may be in flight: fixed at `most`, or adaptive up to it."""

    def __init__(self, most: int, *, adaptive: bool, clock: Clock) -> None:
        self._most, self._adaptive, self._clock = most, adaptive, clock
        self._limit = float(min(FIRST, most)) if adaptive else float(most)
        self._limited = False
        self._clean = 0
        self._saturated = False
        self._next_cut = clock.now()

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    def started(self, in_flight: int) -> None:
        """A request started, the latest of so many in flight."""
        self._saturated = self._saturated or in_flight >= self.limit

    def answered(self) -> None:
        """A request ended well; as many in a row as are allowed in flight are a clean round."""
        self._clean += 1
        if not self._adaptive or self._clean < self.limit:
            return
        if self._saturated:
            grown = max(self._limit * (GROWTH if self._limited else 2), self._limit + 1)
            self._limit = min(grown, float(self._most))
        self._new_round()

    def rate_limited(self, retry_after: float | None) -> None:
        """The oracle objected; wait for as long as it says before this can count again."""
        self._limited = True
        if not self._adaptive or self._clock.now() < self._next_cut:
            return
        self._limit = max(1.0, math.floor(self._limit * CUT))
        self._next_cut = self._clock.now() + max(SECONDS_BETWEEN_CUTS, retry_after or 0.0)
        self._new_round()

    def failed(self) -> None:
        """A request failed otherwise: no growth on this round."""
        self._new_round()

    def _new_round(self) -> None:
        self._clean, self._saturated = 0, False
