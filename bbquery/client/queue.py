"""Queue of queries that wait, and of batches that are held and not yet sent.

    waiting --take--> batch --hold--> holding --commit--> held --send--> at the oracle

Nothing here awaits or asks anybody but the provider. The rules:

1. A batch is taken when it is as large as the oracle takes, or when nothing more is being prepared.
2. It is held once there is a slot for it. Where its queries cost no money and nothing paces them, up to `AHEAD` times
   as many batches as there are slots are held ahead of theirs, and then many together.
3. A held batch is sent when it has a slot, or when one is free.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.client.provider import Provider
    from bbquery.client.query import Query

AHEAD = 2  # batches held ahead for each slot: those that leave while the next are being held, and as many again


@dataclass(eq=False, slots=True)
class RequestBatch:
    """Queries of one request. has_slot: it took its turn and a slot before its hold; else no money is at stake.

    epoch: of the ledger, when it was held.
    """

    queries: list[Query]
    has_slot: bool
    epoch: int = 0


class RequestQueue:
    """Queries and batches in their order, and which of them may go on.

    waiting: queries in no batch. held: batches to be sent. unsent: how many batches are being held, or are held.
    short_of_budget: the ledger refused, and may grant once something in flight is settled. changed: set whenever
    something may start that could not before.
    """

    def __init__(self, provider: Provider, largest_batch: int) -> None:
        self._provider, self._largest = provider, largest_batch
        self._preparing = 0
        self._holding: list[RequestBatch] = []
        self.waiting: deque[Query] = deque()
        self.held: deque[RequestBatch] = deque()
        self.unsent = 0
        self.short_of_budget = False
        self.changed = asyncio.Event()

    def preparing(self, change: int) -> None:
        """Expect this many more (or fewer) queries: a batch waits for them to fill it."""
        self._preparing += change
        self.changed.set()

    def add(self, query: Query) -> None:
        """Put a query last."""
        self.waiting.append(query)
        self.changed.set()

    def put_back(self, queries: Sequence[Query]) -> None:
        """Put queries that were taken first again, in their order."""
        self.waiting.extendleft(reversed(queries))

    @property
    def may_send(self) -> bool:
        """Whether the next held batch has a slot, or there is one for it."""
        return bool(self.held) and (self.held[0].has_slot or self._provider.has_a_slot)

    @property
    def may_hold(self) -> bool:
        """Whether a batch may be taken and held."""
        return self.is_whole and self.has_room(ahead=self.may_hold_ahead)

    @property
    def following(self) -> int:
        """How many more requests could leave with the one whose turn comes: there are batches and slots for them."""
        batches = len(self.held) + math.ceil(len(self.waiting) / self._largest)
        return max(0, min(batches, self._provider.free_slots - 1))

    @property
    def is_whole(self) -> bool:
        """Whether a batch may be taken: nothing more comes that would make it larger."""
        if not self.waiting or self.short_of_budget:
            return False
        return self._preparing == 0 or len(self.waiting) >= self._largest

    @property
    def may_hold_ahead(self) -> bool:
        """Whether the next batch may be held before it has a slot: nothing paces it, and no money is at stake."""
        if not self._provider.pace.is_free:
            return False
        following = itertools.islice(self.waiting, self._largest)
        return not any(query.hold.picodollars for query in following)

    def has_room(self, *, ahead: bool) -> bool:
        """Whether one more batch may be held: there is a slot for it, or it is held ahead, then many together."""
        if not ahead:
            return self._provider.has_a_slot
        most = AHEAD * self._provider.slots
        return self.unsent < most and (self.unsent <= most // 2 or bool(self._holding))

    @property
    def runs_low(self) -> bool:
        """Whether more should be held ahead."""
        return self.unsent <= AHEAD * self._provider.slots // 2

    def take(self, *, has_slot: bool) -> RequestBatch:
        """Take the next batch, with a slot for it if it has one."""
        if has_slot:
            self._provider.start()
        queries = [self.waiting.popleft() for _ in range(min(len(self.waiting), self._largest))]
        return RequestBatch(queries, has_slot)

    def hold(self, batch: RequestBatch) -> bool:
        """Add a batch to those that the next commit holds; return whether it is the first of them."""
        self.unsent += 1
        self._holding.append(batch)
        return len(self._holding) == 1

    def to_hold(self) -> list[RequestBatch]:
        """Hand over the batches that a commit is to hold."""
        batches, self._holding = self._holding, []
        return batches

    def granted(self, batch: RequestBatch) -> None:
        """Put a batch that is held in line; one that has a slot goes before those that wait for it."""
        if batch.has_slot:
            self.held.appendleft(batch)
        else:
            self.held.append(batch)

    def next_to_send(self) -> RequestBatch:
        """Take the next held batch."""
        self.unsent -= 1
        return self.held.popleft()

    def drop(self, batch: RequestBatch) -> None:
        """Forget a batch of which nothing will be sent, and give its slot back."""
        self.unsent -= 1
        if batch.has_slot:
            self._provider.end()
