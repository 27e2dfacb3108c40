"""What may start: batches are formed, held and sent by rules that need neither a loop nor a ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bbquery.client.query import Query
from bbquery.client.queue import AHEAD, RequestQueue
from bbquery.units import Units

FREE, PAID = Units(1), Units(1, 0, 5)


@dataclass
class Slots:
    """A provider of so many slots. is_free: whether nothing paces it."""

    slots: int = 1
    in_flight: int = 0
    is_free: bool = True
    pace: Slots = field(init=False)

    def __post_init__(self) -> None:
        self.pace = self

    @property
    def has_a_slot(self) -> bool:
        return self.in_flight < self.slots

    def start(self) -> None:
        self.in_flight += 1

    def end(self) -> None:
        self.in_flight -= 1


def queue_of(provider: Slots, hold: Units, queries: int, largest: int = 2) -> RequestQueue:
    queue = RequestQueue(cast("Any", provider), largest)
    for _ in range(queries):
        queue.add(Query(cast("Any", None), None, hold, lambda reply, error: None))
    return queue


@pytest.mark.parametrize(("queries", "coming", "whole"), [(0, 0, False), (1, 0, True), (1, 3, False), (2, 3, True)])
def test_a_batch_waits_for_what_is_being_prepared(queries: int, coming: int, whole: bool) -> None:
    """A batch is whole when it is as large as the oracle takes, or when nothing more comes to fill it."""
    queue = queue_of(Slots(), PAID, queries)

    queue.preparing(coming)

    assert queue.is_whole == whole


def test_what_costs_money_is_held_for_a_slot_only() -> None:
    """With every slot taken, a paid batch is not held, and a free one is: so many ahead, and no more."""
    paid = queue_of(Slots(in_flight=1), PAID, queries=9)
    free = queue_of(Slots(in_flight=1), FREE, queries=9)

    assert not paid.may_hold
    while free.may_hold:
        free.hold(free.take(has_slot=False))
    assert free.unsent == AHEAD


@pytest.mark.parametrize("hold", [FREE, PAID])
def test_what_is_paced_is_not_held_ahead(hold: Units) -> None:
    """Where a rate limits requests, each takes its turn before it is held."""
    assert not queue_of(Slots(in_flight=1, is_free=False), hold, queries=9).may_hold


def test_nothing_is_held_while_the_budget_is_short() -> None:
    """After a refusal nothing is taken until something is settled."""
    queue = queue_of(Slots(), PAID, queries=2)
    queue.short_of_budget = True

    assert not queue.may_hold


def test_a_batch_with_a_slot_goes_before_those_that_wait_for_one() -> None:
    """What is held ahead is sent in the slot of another, and so after it."""
    queue = queue_of(Slots(), FREE, queries=4)
    ahead, first = queue.take(has_slot=False), queue.take(has_slot=True)
    for batch in (ahead, first):
        queue.hold(batch)
        queue.granted(batch)

    assert [queue.next_to_send(), queue.next_to_send(), queue.unsent] == [first, ahead, 0]


def test_a_dropped_batch_gives_its_slot_back() -> None:
    """A batch of which nothing was granted is forgotten, and another may take its place."""
    provider = Slots()
    queue = queue_of(provider, PAID, queries=4)
    batch = queue.take(has_slot=True)
    queue.hold(batch)

    queue.drop(batch)

    assert (queue.unsent, provider.in_flight) == (0, 0)


def test_what_is_put_back_keeps_its_order() -> None:
    """Queries that were taken and may not go yet stand first again."""
    queue = queue_of(Slots(), PAID, queries=5)
    before = list(queue.waiting)

    queue.put_back(queue.take(has_slot=False).queries)

    assert list(queue.waiting) == before
