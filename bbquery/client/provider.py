"""State that all runs of a process share for one oracle: pace, concurrency, and requests in flight."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING

from bbquery.client.concurrency import Concurrency
from bbquery.client.pace import Pace
from bbquery.client.turns import Turns
from bbquery.errors import RateLimited
from bbquery.oracle import RateSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bbquery.errors import OracleError
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Capabilities
    from bbquery.system.clock import Clock

SILENT = RateSeen()
# An event loop's locks are its own, so runs share what they share within a loop.
_shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Provider]] = weakref.WeakKeyDictionary()


class Provider:
    """One oracle's limits. Who may want a slot leaves a callback in `waiting`. rate_limits counts refusals."""

    def __init__(self, capabilities: Capabilities, clock: Clock) -> None:
        limits = capabilities.limits
        self.pace = Pace(limits.requests_per_minute, limits.tokens_per_minute, clock)
        self._concurrency = Concurrency(limits.concurrency, adaptive=limits.adaptive, clock=clock)
        self.in_flight = 0
        self.rate_limits = 0
        self.waiting: deque[Callable[[], None]] = deque()
        self._name, self._clock = capabilities.provider, clock
        self._turns: dict[Ledger, tuple[Turns, int]] = {}  # and how many runs ask by each ledger

    def join(self, ledger: Ledger) -> None:
        """Take turns with other processes that ask by this ledger, for one more run, until `leave`."""
        if self._name:
            turns, runs = self._turns.pop(ledger, (Turns(ledger, self._name, self._clock), 0))
            self._turns[ledger] = (turns, runs + 1)
            self.pace.turns = turns

    def leave(self, ledger: Ledger) -> None:
        """Take turns for one run less. Where runs ask by several ledgers, the last one that was joined counts."""
        if ledger not in self._turns:
            return
        turns, runs = self._turns[ledger]
        self._turns[ledger] = (turns, runs - 1)
        if runs == 1:
            del self._turns[ledger]
            self.pace.turns = next((turns for turns, _ in reversed(self._turns.values())), None)

    @property
    def has_a_slot(self) -> bool:
        """Whether one more request may be in flight."""
        return self.in_flight < self.slots

    @property
    def slots(self) -> int:
        """How many requests may be in flight: one while it is not known whether the oracle has limits."""
        return 1 if self.pace.is_probing else self._concurrency.limit

    @property
    def free_slots(self) -> int:
        """How many more requests may be in flight."""
        return max(0, self.slots - self.in_flight)

    def goes_on(self) -> bool:
        """Keep a slot for another request, unless others want it or there are fewer slots than there were."""
        if len(self.waiting) > 1 or self.in_flight > self.slots:
            return False
        self._concurrency.started(self.in_flight)
        return True

    def start(self) -> None:
        """Take a slot."""
        self.in_flight += 1
        self._concurrency.started(self.in_flight)

    def end(self) -> None:
        """Give the slot back. Who is woken first takes it, so each is woken first in turn."""
        self.in_flight -= 1
        for wake in self.waiting:
            wake()
        self.waiting.rotate(-1)

    def learn(self, failures: Sequence[OracleError], seen: RateSeen | None) -> None:
        """Take a lesson from how a request ended: what failed of it, and what the oracle said of its limits."""
        if seen is not None or not (failures or self.pace.is_told):
            self.pace.learn(seen or SILENT)
        if not failures:
            self._concurrency.answered()
            return
        refusals = [r for r in failures if isinstance(r, RateLimited)]
        waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
        if waits:
            self.pace.refused(max(waits))
        if refusals:
            self.rate_limits += 1
            self._concurrency.rate_limited(max(waits, default=None))
        else:
            self._concurrency.failed()


def provider_of(capabilities: Capabilities, clock: Clock) -> Provider:
    """Return the provider of an oracle: shared with all others of the same name, its own where it has none."""
    if not capabilities.provider:
        return Provider(capabilities, clock)
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    if capabilities.provider not in known:
        known[capabilities.provider] = Provider(capabilities, clock)
    return known[capabilities.provider]
