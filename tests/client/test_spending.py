"""Holds, costs and caps in tokens and dollars, and what ends a run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.client.client import Client
from bbquery.errors import (
    BudgetExhausted,
    CostAboveHold,
    MalformedAnswer,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    StorageFailed,
    UsageError,
)
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from bbquery.types import Image, Reply
from bbquery.units import Units
from tests.support.bookkeeping import guard_caps
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.errors import OracleError

HOLD = Units(queries=1, tokens=100, picodollars=5_000_000)


def costing(tokens: int, picodollars: int) -> object:
    """Return a model whose replies state their cost."""
    return lambda image: Reply(brightness(image), Units(1, tokens, picodollars), "model-1")


async def ask(oracle: FakeOracle, ledger: Ledger, cap: Cap, rows: int = 10) -> Client:
    budget = ledger.open_budget("run", cap)
    async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
        await client.ask(Ask(tiny_images(rows)))
    return client


async def test_the_worst_case_is_held_and_the_real_cost_posted(ledger: Ledger) -> None:
    """After settling, exactly the stated costs are posted and nothing is held."""
    oracle = FakeOracle(hold=HOLD, reply=costing(40, 2_000_000))  # type: ignore[arg-type] # a function

    client = await ask(oracle, ledger, Cap(queries=100))

    state = ledger.budget(client.budget)
    assert (state.posted, state.held) == (Units(10, 400, 20_000_000), Units())


async def test_a_reply_without_a_cost_is_posted_at_its_worst(ledger: Ledger) -> None:
    """Where the oracle says nothing of the cost, the hold is what it cost."""
    client = await ask(FakeOracle(hold=HOLD), ledger, Cap(queries=100), rows=3)

    assert ledger.budget(client.budget).posted == HOLD.times(3)


@pytest.mark.parametrize(
    ("cap", "answered", "unit"),
    [
        (Cap(queries=100, tokens=450), 8, "tokens"),
        (Cap(queries=100, picodollars=10_000_000), 2, "picodollars"),
        (Cap(queries=4, tokens=10_000), 4, "queries"),
    ],
)
async def test_the_tightest_cap_ends_the_run_and_is_not_passed(
    ledger: Ledger, cap: Cap, answered: int, unit: str
) -> None:
    """With caps in three units the first that cannot take another worst case stops the run."""
    oracle = FakeOracle(hold=HOLD, reply=costing(50, 3_000_000), largest_batch=1, concurrency=1)  # type: ignore[arg-type] # a function

    client = await ask(oracle, ledger, cap, rows=20)

    state = ledger.budget(client.budget)
    assert isinstance(client.halt.error, BudgetExhausted)
    assert client.halt.error.unit == unit
    assert oracle.billed == state.posted.queries == answered


async def test_a_bill_above_its_hold_is_recorded_and_stops_the_run(ledger: Ledger) -> None:
    """An estimate of cost that proves wrong makes every cap unsafe: the truth is recorded, and nothing more is sent."""
    oracle = FakeOracle(hold=HOLD, reply=costing(101, 1), largest_batch=1, concurrency=1)  # type: ignore[arg-type] # a function

    client = await ask(oracle, ledger, Cap(queries=100))

    assert isinstance(client.halt.error, CostAboveHold)
    assert ledger.budget(client.budget).posted == Units(1, 101, 1)
    assert oracle.billed == 1


async def test_a_malformed_answer_is_paid_as_stated_or_at_its_worst(ledger: Ledger) -> None:
    """What was answered but cannot be read was billed all the same."""
    for name, error, paid in (
        ("stated", MalformedAnswer("junk", cost=Units(1, 7, 9)), Units(1, 7, 9)),
        ("silent", MalformedAnswer("junk"), HOLD),
    ):
        budget = ledger.open_budget(name, Cap(queries=5))
        oracle = FakeOracle(hold=HOLD, script=lambda _, error=error: error, version=name)  # type: ignore[misc] # bound now
        async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
            await client.ask(Ask(tiny_images(1)))
        assert ledger.budget(budget).posted == paid


async def test_a_used_up_quota_stops_the_run_at_once(ledger: Ledger) -> None:
    """Quota, credit and spend limits are not waited for: one refusal, nothing held, what was answered kept."""
    oracle = FakeOracle(
        hold=HOLD,
        script=lambda number: QuotaExceeded("no credit left") if number == 3 else None,
        largest_batch=1,
        concurrency=1,
    )

    client = await ask(oracle, ledger, Cap(queries=100))

    assert isinstance(client.halt.error, QuotaExceeded)
    assert (oracle.requests, oracle.billed) == (4, 3)
    assert ledger.budget(client.budget).held == Units()


async def test_the_version_that_answered_is_stored_with_the_answer(ledger: Ledger) -> None:
    """A stored reply still says which model version gave it, and costs nothing again."""
    oracle = FakeOracle(hold=HOLD, reply=costing(1, 1))  # type: ignore[arg-type] # a function
    budget = ledger.open_budget("run", Cap(queries=9))
    async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
        await client.ask(Ask(tiny_images(1)))
        ((stored,),) = await client.ask(Ask(tiny_images(1)))

    assert stored is not None
    assert (stored.served, stored.cost) == ("model-1", Units())


@settings(max_examples=40, deadline=None)
@given(
    tokens=st.integers(1, 2000),
    usd=st.integers(1, 10**10),
    rows=st.integers(1, 25),
    batch=st.integers(1, 5),
    concurrency=st.integers(1, 4),
    costs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10),
    faults=st.lists(st.sampled_from(["ok", "ok", "429", "lost", "junk"]), min_size=1, max_size=12),
)
async def test_no_unit_is_ever_overdrawn(
    tokens: int,
    usd: int,
    rows: int,
    batch: int,
    concurrency: int,
    costs: list[tuple[float, float]],
    faults: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever answers cost within their holds and however attempts end, no cap is passed and the books agree.

    Posted is the sum of what was billed and answered; held is the sum of the holds of named unknowns.
    """
    answered = 0

    def reply(image: Image) -> Reply:
        nonlocal answered
        share = costs[answered % len(costs)]
        answered += 1
        return Reply(brightness(image), Units(1, int(HOLD.tokens * share[0]), int(HOLD.picodollars * share[1])))

    def script(number: int) -> OracleError | None:
        kind = faults[number % len(faults)]
        return {"429": RateLimited("x", retry_after=0.1), "lost": OutcomeUnknown("x")}.get(kind)

    path = tmp_path_factory.mktemp("ledger") / "l.sqlite3"
    with Ledger(path) as ledger:
        guard_caps(ledger)
        project = ledger.open_budget("project", Cap(tokens=tokens))
        budget = ledger.open_budget("run", Cap(queries=60, picodollars=usd), project)
        oracle = FakeOracle(hold=HOLD, reply=reply, script=script, largest_batch=batch, concurrency=concurrency)
        async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
            replies = await client.ask(Ask(tiny_images(rows)))
        state, above, unknowns = ledger.budget(budget), ledger.budget(project), ledger.unknowns(budget)

    paid, held = Units(), Units()
    for reply_ in (r for row in replies for r in row if r is not None):
        paid = paid.plus(reply_.cost or HOLD)
    for unknown in unknowns:
        held = held.plus(unknown.hold)
    assert state.posted == above.posted == paid
    assert state.held == above.held == held


async def test_a_full_disk_halts_and_nothing_paid_is_lost(tmp_path: Path) -> None:
    """When the ledger's file can grow no more, nothing is sent without a hold, and a rerun pays only for the rest."""
    path = tmp_path / "l.sqlite3"
    images = tiny_images(300, side=16)
    oracle = FakeOracle(hold=HOLD, largest_batch=1, concurrency=2)
    with Ledger(path) as ledger:
        budget = ledger.open_budget("run", Cap(queries=400))
        pages = ledger._database.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0]).result()
        ledger._database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 8}").fetchall()).result()
        async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
            first = await client.ask(Ask(images))
        error = client.halt.error
    paid = oracle.billed
    with Ledger(path) as ledger:
        state, unknowns = ledger.budget(budget), ledger.unknowns(budget)
        async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
            second = await client.ask(Ask(images))

    assert isinstance(error, StorageFailed)
    assert "full" in str(error)
    assert 0 < paid < 300
    assert sum(reply is not None for (reply,) in first) == paid
    assert paid <= state.posted.queries + len(unknowns)
    assert all(reply is not None for (reply,) in second)
    assert oracle.billed - paid == 300 - state.posted.queries


async def test_a_key_that_is_not_set_holds_nothing(ledger: Ledger) -> None:
    """What an oracle finds missing before it sends is the caller's to mend: no hold stays, and the run ends with it."""
    oracle = FakeOracle(script=lambda _: UsageError("ACME_KEY is unset"), hold=HOLD)
    client = await ask(oracle, ledger, Cap(queries=9))

    assert isinstance(client.halt.error, UsageError)
    assert ledger.budget(client.budget).held == Units()
