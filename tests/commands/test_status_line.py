"""The status line shows what a run spends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.client.client import Client
from bbquery.commands.screen import Screen, Spent
from bbquery.ledger.records import Cap, Granted, HoldRequest, Settlement
from bbquery.plan import Ask
from bbquery.units import Units
from tests.support.bookkeeping import question
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, client_of

if TYPE_CHECKING:
    import pytest

    from bbquery.ledger.ledger import Ledger

DOLLAR = 10**12


async def spend(ledger: Ledger, budget: int, number: int, dollars: int) -> None:
    (granted,) = await ledger.reserve([HoldRequest(question(number), budget, Units(1, 0, dollars * DOLLAR))])
    assert isinstance(granted, Granted)
    await ledger.settle([Settlement(granted.attempt, "posted", Units(1, 0, dollars * DOLLAR))])


async def test_spending_is_of_all_budgets_of_a_run(ledger: Ledger) -> None:
    """A search that had spent $25 before, and a verification that spends $1: 26 in all, 1 since, and never less."""
    search, verification = (ledger.open_budget(name, Cap()) for name in ("search", "verification"))
    await spend(ledger, search, 1, 25)
    spent = Spent()
    spent.follow(ledger, search)
    spent.follow(ledger, verification)
    await spend(ledger, verification, 2, 1)
    spent.follow(ledger, verification)  # once more, as for a second map

    assert spent.told(ledger, sent=1, left=4, seconds=60) == "$26.00 spent of about $30.00, $1.00/min"


async def test_what_a_run_will_come_to_is_never_above_its_cap(ledger: Ledger) -> None:
    """What earlier runs spent is no part of a query's price, and no forecast passes what may be spent."""
    capped = ledger.open_budget("capped", Cap(picodollars=30 * DOLLAR))
    await spend(ledger, capped, 1, 20)
    spent = Spent()
    spent.follow(ledger, capped)
    await spend(ledger, capped, 2, 2)

    told = [spent.told(ledger, sent=1, left=left, seconds=60) for left in (0, 2, 100)]

    assert [text.split("about ")[1].split(",")[0] for text in told] == ["$22.00", "$26.00", "$30.00"]


async def test_the_rate_is_never_below_zero(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """A second client in a budget of its own, as an attack's verification has, takes nothing back."""
    first = client_of(FakeOracle(hold=Units(1, 0, DOLLAR)), ledger)
    await spend(ledger, first.budget, 1, 25)
    with Screen() as screen:
        screen.started(first, 10, 10)
        screen.measuring(second := client_of_budget(ledger, "verification"), 5)
        await second.ask(Ask(tiny_images(3)))
        status = screen._status(60.0)
        await second.aclose()
        await first.aclose()

    assert "$28.00 spent" in status
    assert "$3.00/min" in status
    assert "$-" not in status


def client_of_budget(ledger: Ledger, name: str) -> Client:
    oracle = FakeOracle(hold=Units(1, 0, DOLLAR))
    return Client(oracle, ledger, ledger.open_budget(name, Cap(queries=9)), clock=FakeClock())
