"""Queries held before there is a slot for them: where that costs nothing, and what becomes of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.client import settling
from bbquery.client.halt import Interrupted
from bbquery.errors import RateLimited
from bbquery.ledger.ledger import LAPSED
from bbquery.oracle import Quote
from bbquery.plan import Ask
from bbquery.units import Units
from tests.support.clocks import ManualClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness, client_of, failing_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.client.client import Client
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import HoldRequest, Result
    from bbquery.types import Answer, Image

SLOTS = 3
PAID = Units(queries=1, picodollars=1)


async def held_at_the_gate(oracle: FakeOracle, ledger: Ledger, *, at_least: int) -> tuple[int, int]:
    """Return how many queries are held when every slot waits for an answer, and after a halt and the end.

    at_least: wait until so many are held; further holds may still be on their way.
    """
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(40))))
        while oracle.requests < SLOTS:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        while (held := ledger.budget(client.budget).held.queries) < at_least:
            await asyncio.to_thread(lambda: None)
        client.halt.set(Interrupted("enough"))
        oracle.gate.set()
        await asking
    return held, ledger.budget(client.budget).held.queries


async def test_what_costs_money_is_held_only_when_it_is_sent(ledger: Ledger) -> None:
    """Where a query costs money, a kill leaves holds for what is in flight and for nothing else."""
    oracle = FakeOracle(largest_batch=1, concurrency=SLOTS, gated=True, hold=PAID)

    assert await held_at_the_gate(oracle, ledger, at_least=SLOTS) == (SLOTS, 0)


async def test_what_costs_nothing_is_held_ahead_and_released_unsent(ledger: Ledger) -> None:
    """Without money at stake up to twice as many again as there are slots are held; a halt voids them, unsent."""
    oracle = FakeOracle(largest_batch=1, concurrency=SLOTS, gated=True)

    _, left = await held_at_the_gate(oracle, ledger, at_least=SLOTS + 1)

    assert left == 0

    states = "SELECT state, count(*) FROM attempt GROUP BY state ORDER BY state"
    ended = dict(ledger.read(lambda c: c.execute(states).fetchall()))
    assert set(ended) == {"posted", "voided"}
    assert ended["posted"] == SLOTS
    assert 1 <= ended["voided"] <= 2 * SLOTS
    assert oracle.requests == oracle.billed == SLOTS


async def test_only_what_leaves_counts_as_sent(ledger: Ledger) -> None:
    """The tally and the bill agree, though more was held than sent when the run halted."""
    oracle = FakeOracle(largest_batch=1, concurrency=SLOTS, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(40))))
        while oracle.requests < SLOTS:
            await asyncio.sleep(0)
        client.halt.set(Interrupted("enough"))
        oracle.gate.set()
        await asking

        assert client.tally.sent == client.sent == SLOTS


async def test_a_client_that_is_closed_sends_nothing_that_it_held(ledger: Ledger) -> None:
    """Closing while requests are in flight waits for these alone, and leaves no hold."""
    oracle = FakeOracle(largest_batch=1, concurrency=SLOTS, gated=True)
    client = client_of(oracle, ledger)
    asking = asyncio.create_task(client.ask(Ask(tiny_images(40))))
    while oracle.requests < SLOTS:
        await asyncio.sleep(0)
    closing_down = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    oracle.gate.set()
    await closing_down
    await asking

    assert oracle.billed == ledger.budget(client.budget).posted.queries == SLOTS
    assert ledger.budget(client.budget).held == Units()


async def test_nothing_held_ahead_leaves_while_the_oracle_asked_to_wait(ledger: Ledger) -> None:
    """A pause holds for what was held before it, too; afterwards all of it is answered."""
    clock = ManualClock()
    script = failing_first(RateLimited("slow down", retry_after=7.5))
    oracle = FakeOracle(script=script, largest_batch=1, concurrency=1)
    async with client_of(oracle, ledger, clock=clock) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(4))))
        while len(clock.sleepers) < 2:  # the query that was told to wait, and the pace for all others
            await asyncio.sleep(0)
        clock.advance(7.4)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        started_early = oracle.requests
        clock.advance(0.2)
        rows = await asking

    assert started_early == 1
    assert all(reply is not None for (reply,) in rows)


async def test_a_client_closed_during_a_pause_leaves_no_hold(ledger: Ledger) -> None:
    """What was held ahead and waits for its turn is released when nobody waits for its answer any more."""
    clock = ManualClock()
    script = failing_first(RateLimited("slow down", retry_after=7.5))
    oracle = FakeOracle(script=script, largest_batch=1, concurrency=1, gated=True)
    client = client_of(oracle, ledger, clock=clock)
    asking = asyncio.create_task(client.ask(Ask(tiny_images(2))))
    while ledger.budget(client.budget).held.queries < 2:  # one in flight, one ahead
        await asyncio.to_thread(lambda: None)
    oracle.gate.set()
    while len(clock.sleepers) < 2:  # the query that was told to wait, and the pace for the one that is held
        await asyncio.sleep(0)
    while ledger.budget(client.budget).held.queries > 1:
        await asyncio.to_thread(lambda: None)

    await client.aclose()
    await asking

    assert ledger.budget(client.budget).held == Units()


async def test_a_batch_in_which_one_query_costs_money_is_not_held_ahead(ledger: Ledger) -> None:
    """One query that is paid for is enough: the whole batch waits for its slot."""

    class Mixed(FakeOracle):
        def quote(self, payload: Image) -> Quote:
            hold = PAID if payload.mean() > 128 else Units(queries=1)
            return Quote(worst=hold, expected=hold)

    images = np.zeros((12, 4, 4, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(12)
    images[1::2] += 200  # so that every batch begins with one that costs nothing
    oracle = Mixed(largest_batch=2, concurrency=1, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(images)))
        while oracle.requests < 1:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        held, in_flight = ledger.budget(client.budget).held, sum(image.mean() > 128 for image in oracle.shown)
        oracle.gate.set()
        await asking

    assert held.picodollars == in_flight  # rows come in any order: two that cost nothing may be held ahead


@pytest.mark.parametrize("hold", [PAID, Units(queries=1)])
async def test_no_outcome_waits_for_others_where_nothing_follows(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, hold: Units
) -> None:
    """The last answer is settled at once, however long an outcome may wait for company."""
    monkeypatch.setattr(settling, "LONGEST_WAIT", 3600.0)

    async with asyncio.timeout(30), client_of(FakeOracle(largest_batch=1, hold=hold), ledger) as client:
        await client.ask(Ask(tiny_images(1)))

        assert ledger.budget(client.budget).posted.queries == 1


async def test_a_paid_answer_does_not_wait_for_another_hold(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was paid for is settled as soon as it is answered, though the next query is still being reserved."""
    monkeypatch.setattr(settling, "LONGEST_WAIT", 3600.0)
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True, hold=PAID)
    reserving, may_reserve, reserve = asyncio.Event(), asyncio.Event(), ledger.reserve

    async def slow_reserve(requests: Sequence[HoldRequest]) -> list[Result]:
        reserving.set()
        await may_reserve.wait()
        return await reserve(requests)

    async with asyncio.timeout(30), client_of(oracle, ledger) as client:
        first = asyncio.create_task(client.ask(Ask(tiny_images(1))))
        while oracle.requests < 1:
            await asyncio.sleep(0)
        monkeypatch.setattr(ledger, "reserve", slow_reserve)
        second = asyncio.create_task(client.ask(Ask(tiny_images(1, seed=1))))
        await reserving.wait()
        oracle.gate.set()
        answered, _ = await asyncio.wait([first], timeout=10)
        posted = ledger.budget(client.budget).posted.queries
        may_reserve.set()
        await second

    assert answered
    assert posted == 1


async def test_an_answer_that_ends_the_run_is_the_last(ledger: Ledger) -> None:
    """Nothing held ahead takes the slot of a request whose answer halted the run."""
    client: Client

    def reply(image: Image) -> Answer:
        if oracle.requests == 10:
            client.halt.set(Interrupted("enough"))
        return brightness(image)

    oracle = FakeOracle(largest_batch=1, concurrency=1, reply=reply)
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(40)))

    assert oracle.requests == 10


async def longer_than_a_commit(_: int) -> None:
    """Take so long that what is held ahead never runs out."""
    for _ in range(40):
        await asyncio.to_thread(lambda: None)


async def test_a_run_with_much_held_leaves_slots_to_another(ledger: Ledger) -> None:
    """Of two runs at one provider, the one that begins later and asks little need not wait for the other's end."""
    answered: list[str] = []

    def oracle(who: str) -> FakeOracle:
        def reply(image: Image) -> Answer:
            answered.append(who)
            return brightness(image)

        shared: dict[str, Any] = {"largest_batch": 1, "concurrency": SLOTS, "provider": "shared"}
        return FakeOracle(reply, work=longer_than_a_commit, version=who, **shared)

    async with client_of(oracle("long"), ledger) as long, client_of(oracle("short"), ledger) as short:
        much = asyncio.create_task(long.ask(Ask(tiny_images(100))))
        while len(answered) < SLOTS:
            await asyncio.sleep(0)
        await short.ask(Ask(tiny_images(5, seed=1)))
        before = len(answered)
        await much

    assert before < 50


async def test_what_was_held_before_a_lease_lapsed_is_held_anew(ledger: Ledger) -> None:
    """A hold that others may call unknown by now is not sent: it is voided, and each query is asked under another."""
    oracle = FakeOracle(largest_batch=1, concurrency=SLOTS, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(12))))
        while oracle.requests < SLOTS or ledger.budget(client.budget).held.queries == SLOTS:
            await asyncio.to_thread(lambda: None)
        before = ledger.read(lambda c: c.execute("SELECT id FROM attempt WHERE state = 'open'").fetchall())
        ledger._me.epoch += 1
        oracle.gate.set()
        await asking

    states = dict(ledger.read(lambda c: c.execute("SELECT id, state || coalesce(reason, '') FROM attempt").fetchall()))
    ended = sorted(states[attempt] for (attempt,) in before)
    assert ended == ["posted"] * SLOTS + [f"voided{LAPSED}"] * (len(before) - SLOTS)
    assert list(states.values()).count("posted") == oracle.billed == 12
