"""Lane: one oracle of an audit, its photos that are left to ask, and whether it could take another one now.

A lane is *hungry* while its oracle could be sent more than its photos at work ask: there is a free slot, and no query
waits for a slot, for its turn or for a batch. So another photo is begun only when the oracle would idle otherwise, and
as few photos are held in memory as keep it busy. A photo that has just begun is given a moment to send its queries.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.errors import (
    BbqueryError,
    BudgetExhausted,
    CostAboveHold,
    KeyRefused,
    OracleError,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from bbquery.jobs.watch import Watch
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.jobs.audit.plan import OraclePlan
    from bbquery.jobs.audit.work import Outcome
    from bbquery.jobs.parts import Part
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.types import Answer

LEAST_AT_WORK = 2  # photos: one is asked while another is drawn and written
MOST_AT_WORK = 32  # photos of one oracle
SECONDS_TO_SEND = 0.05  # from a photo's beginning to its first queries: long against decoding a small one
LOSSES_KEPT = 2  # times what is expected: most photos lose less
MOST_IN_A_ROW = 3  # photos that fail by the oracle, after which it is no longer asked

AT_ONCE = (KeyRefused, QuotaExceeded, RateLimited, Unreachable, CostAboveHold)
"""Failures of an oracle that the next photo would meet too; others may lie in one photo."""


@dataclass(frozen=True, order=True)
class Todo:
    """A photo that is left to ask. anew: 0 where it was begun before, so that it comes first. place: in the plan."""

    anew: int
    place: int


@dataclass(eq=False)
class Lane:
    """One oracle. budget: id of its budget, named `name`. todo: in order, from `next` on not begun. done: complete.

    began: when the last photo did, in seconds. answered: questions of photos that are begun again, by place.
    put_off: what came of them, until they begin.
    taken, lost: queries of photos that ended, posted and of unknown outcome.
    """

    setting: OraclePlan
    oracle: Oracle
    place: int
    budget: int
    name: str
    todo: list[Todo]
    done: int
    next: int = 0
    at_work: int = 0
    ended: BbqueryError | None = None
    began: float = 0.0
    taken: int = 0
    lost: int = 0
    answered: dict[int, int] = field(default_factory=dict)
    put_off: dict[int, Outcome] = field(default_factory=dict)
    clients: set[Client] = field(default_factory=set)
    _failed: int = 0

    def with_losses(self, promise: Units) -> Units:
        """Return a photo's promise with room for what may be lost of it, going by what was lost so far."""
        share = LOSSES_KEPT * self.lost / max(self.taken + self.lost, 1)
        return Units(*(math.ceil(amount * (1 + share)) for amount in promise.amounts))

    def again(self, place: int) -> None:
        """Let a photo begin again, before those that have not begun. place: in the plan."""
        bisect.insort(self.todo, Todo(0, place), lo=self.next)

    def left(self) -> Iterator[Todo]:
        """Give what has not begun, in order; nothing once the lane has ended."""
        place = self.next
        while self.ended is None and place < len(self.todo):
            yield self.todo[place]
            place += 1

    def is_hungry(self, now: float) -> bool:
        """Whether another photo should begin. now: in seconds."""
        if self.at_work < LEAST_AT_WORK:
            return True
        if (
            self.at_work >= MOST_AT_WORK
            or now - self.began < SECONDS_TO_SEND
            or any(client.waits_to_send for client in self.clients)
        ):
            return False
        capabilities = self.oracle.capabilities
        flying = [client.in_flight for client in self.clients]
        in_flight = max(flying, default=0) if capabilities.provider else sum(flying)
        return in_flight < max((client.slots for client in self.clients), default=1)

    def took(self, error: BbqueryError | None, photo: str) -> BbqueryError | None:
        """Take a photo's end into account; return the error that ends the lane, if any. photo: name of its budget."""
        if error is None:
            self._failed = 0
            return None
        if isinstance(error, BudgetExhausted):
            return None if error.budget == photo or error.budget.startswith(f"{photo}/") else error
        if not isinstance(error, OracleError):
            return error
        self._failed += 1
        return error if isinstance(error, AT_ONCE) or self._failed >= MOST_IN_A_ROW else None


class Heard(Watch):
    """Hears of one photo: the lane knows its clients, and whoever watches the audit hears the rest."""

    def __init__(self, lane: Lane, part: Part, outer: Watch) -> None:
        self._lane, self.part, self._outer = lane, part, outer.beside(part)
        self._client: Client | None = None

    def begins(self, part: Part) -> None:
        """Pass it on."""
        self._outer.begins(part)

    def ends(self, part: Part) -> None:
        """Pass it on, and forget the last client."""
        self._now(None)
        self._outer.ends(part)

    def started(self, client: Client, queries: int, rows: int) -> None:
        """Take note of who asks."""
        self._now(client)
        self._outer.started(client, queries, rows)

    def measuring(self, client: Client, queries: int) -> None:
        """Take note of who asks."""
        self._now(client)
        self._outer.measuring(client, queries)

    def _now(self, client: Client | None) -> None:
        if self._client is not None:
            self._lane.clients.discard(self._client)
        if client is not None:
            self._lane.clients.add(client)
        self._client = client

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Pass it on."""
        self._outer.seen(clean, capabilities)

    def beware(self, text: str) -> None:
        """Pass it on."""
        self._outer.beware(text)

    def progressed(self) -> None:
        """Pass it on."""
        self._outer.progressed()

    def waiting(self, text: str) -> None:
        """Pass it on."""
        self._outer.waiting(text)
