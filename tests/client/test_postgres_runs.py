"""Clients of several machines on one ledger of a server: what each pays, and what becomes of one that was cut off."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.ledger import Ledger
from bbquery.plan import Ask
from bbquery.units import Units
from tests.support.answered import expected, values
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bbquery.client.client import Client
    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
IMAGES = 4


class Machines:
    """Two machines that ask the same: the first has asked, and its oracle answers when its gate opens."""

    def __init__(self, ledgers: list[Ledger], oracles: list[FakeOracle], clients: list[Client]) -> None:
        self.ledgers, self.oracles, self.clients = ledgers, oracles, clients
        self.images = tiny_images(IMAGES)
        self.asking: list[asyncio.Task[object]] = []

    async def ask(self, machine: int) -> None:
        """Ask on a machine, until it has sent something or waits for the other."""
        client, oracle = self.clients[machine], self.oracles[machine]
        self.asking.append(asyncio.create_task(client.ask(Ask(self.images))))
        while not (oracle.requests or client._dispatcher._reservations.followers):
            await asyncio.sleep(0)


@pytest.fixture
async def machines(postgresql: Server) -> AsyncIterator[Machines]:
    async with AsyncExitStack() as stack:
        url = postgresql.url()
        ledgers = [stack.enter_context(Ledger(url)) for _ in range(2)]
        oracles = [FakeOracle(gated=True), FakeOracle()]
        clients = [await stack.enter_async_context(client_of(*pair)) for pair in zip(oracles, ledgers, strict=True)]
        yield Machines(ledgers, oracles, clients)


async def test_two_machines_pay_an_equal_question_once(machines: Machines) -> None:
    """What one machine has in flight the other waits for, and is then served from the store."""
    await machines.ask(0)
    await machines.ask(1)
    machines.oracles[0].gate.set()

    first, second = await asyncio.gather(*machines.asking)

    assert values(first) == values(second) == expected(machines.images)  # type: ignore[arg-type] # what asking returns
    assert [oracle.billed for oracle in machines.oracles] == [IMAGES, 0]


async def test_a_machine_that_was_cut_off_is_paid_for_and_so_is_who_took_its_place(machines: Machines) -> None:
    """What a machine taken for dead had in flight is asked again; when it comes back, all that was billed is posted."""
    await machines.ask(0)
    left, there = machines.ledgers
    there._database.write(lambda c: c.execute("DELETE FROM owner WHERE name = ?", (left._me.name,))).result()
    await machines.ask(1)
    second = await machines.asking[1]
    meanwhile = [there.budget(client.budget) for client in machines.clients]

    machines.oracles[0].gate.set()
    first = await machines.asking[0]

    budgets = {client.budget for client in machines.clients}
    states = [there.budget(budget) for budget in budgets]
    assert values(first) == values(second) == expected(machines.images)  # type: ignore[arg-type] # as above
    assert [oracle.billed for oracle in machines.oracles] == [IMAGES, IMAGES]
    assert meanwhile[0].held == Units(queries=IMAGES)
    assert sum(state.posted.queries for state in states) == 2 * IMAGES
    assert [state.held for state in states] == [Units()] * len(states)
