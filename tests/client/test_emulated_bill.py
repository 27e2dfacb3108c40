"""The ledger against a real server's own bill, over real connections, through seeded faults of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.client.client import Client
from bbquery.client.halt import Interrupted
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from bbquery.plan import Ask
from oracles import function, http
from oracles.emulators.http import Faults, HttpEmulator
from tests.support import models
from tests.support.bookkeeping import guard_caps
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images

if TYPE_CHECKING:
    import pytest

    from bbquery.types import Image

shares = st.sampled_from([0.0, 0.1, 0.2])


@settings(max_examples=15, deadline=None)
@given(
    cap=st.integers(1, 60),
    rows=st.integers(1, 40),
    largest_batch=st.integers(1, 6),
    concurrency=st.integers(1, 6),
    seed=st.integers(0, 1000),
    rate_limited=shares,
    server_error=shares,
    dropped=shares,
    truncated=shares,
    interrupt_after=st.none() | st.integers(1, 30),
)
async def test_the_servers_bill_is_always_covered(
    cap: int,
    rows: int,
    largest_batch: int,
    concurrency: int,
    seed: int,
    rate_limited: float,
    server_error: float,
    dropped: float,
    truncated: float,
    interrupt_after: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What the server counts as answered is posted or unknown in the ledger, and no cap is ever passed."""
    answered = 0
    client: Client

    def model(image: Image) -> list[float]:
        nonlocal answered
        answered += 1
        if answered == interrupt_after:
            client.halt.set(Interrupted("stop"))
        return models.sides(image)

    def batched(images: Image) -> list[list[float]]:
        return [model(image) for image in images]

    inner = function.connect(
        batched, takes="batch", largest_batch=largest_batch, version="1", price=Price(), height=8, width=8
    )
    faults = Faults(
        seed=seed, rate_limited=rate_limited, server_error=server_error, dropped=dropped, truncated=truncated
    )
    emulator = HttpEmulator(inner, faults)
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite3"
    async with emulator.running() as url:
        oracle = await http.connect(url=url, concurrency=concurrency)
        with Ledger(path) as ledger:
            guard_caps(ledger)
            budget = ledger.open_budget("run", Cap(queries=cap))
            async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
                rows_answered = await client.ask(Ask(tiny_images(rows)))
            state, unknowns = ledger.budget(budget), ledger.unknowns(budget)
        await oracle.aclose()
    await inner.aclose()

    assert state.posted.queries + state.held.queries <= cap
    assert state.held.queries == len(unknowns)
    assert emulator.bill.images_answered <= state.posted.queries + len(unknowns)
    assert sum(answer is not None for row in rows_answered for answer in row) == state.posted.queries
