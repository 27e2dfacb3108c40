"""Unknown attempts that are settled by hand: what becomes of what was held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.ledger import reports
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.reconcile import Settled, Verdict
from bbquery.ledger.records import Cap
from bbquery.units import Units
from tests.support.bookkeeping import HOLD, asked, remember, sent, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.places import Place


def state_of(accounts: Accounts, attempt: int) -> reports.Attempt:
    return next(a for a in accounts.read(lambda c: list(reports.attempts(c))) if a.id == attempt)


# --- by hand ---


def test_an_unknown_that_was_billed_costs_what_was_held(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Where nobody knows better, all that was held is posted, in the budget and in those above."""
    project = ledger.open_budget("project", Cap(queries=5))
    run = ledger.open_budget("run", Cap(queries=5), project)
    attempt = sent(ledger, run, asked(oracle, 1), "unknown")

    done = settle(accounts, Verdict(attempt, "posted"))

    assert done == [Settled(attempt, "project > run", "posted", HOLD, HOLD)]
    for budget in (project, run):
        assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (HOLD, Units())


def test_an_unknown_costs_what_the_vendor_says(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Units that are stated are posted as stated, zero included; the others as held."""
    budget = ledger.open_budget("b", Cap())
    attempt = sent(ledger, budget, asked(oracle, 1), "unknown")

    settle(accounts, Verdict(attempt, "posted", tokens=0, picodollars=7))

    assert ledger.budget(budget).posted == Units(HOLD.queries, 0, 7)
    assert ledger.budget(budget).held == Units()


def test_an_unknown_that_was_not_billed_gives_its_hold_back(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A voided attempt leaves the budget as if it had never been sent."""
    budget = ledger.open_budget("b", Cap(queries=1))
    attempt = sent(ledger, budget, asked(oracle, 1), "unknown")

    settle(accounts, Verdict(attempt, "voided"))

    assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (Units(), Units())
    assert ledger.unknowns(budget) == []


def test_the_record_keeps_why_it_was_unknown(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A settled attempt still says what had happened, and that somebody settled it."""
    attempt = sent(ledger, ledger.open_budget("b", Cap()), asked(oracle, 1), "unknown", reason="timed out")
    silent = sent(ledger, ledger.open_budget("b", Cap()), asked(oracle, 2), "unknown")

    settle(accounts, Verdict(attempt, "posted"), Verdict(silent, "voided"))

    assert state_of(accounts, attempt).reason == "timed out; reconciled as posted"
    assert state_of(accounts, silent).reason == "reconciled as voided"
    assert state_of(accounts, attempt).cost == HOLD


def test_an_unknown_whose_question_is_asked_again_can_be_settled(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """A retry in flight at the same key is another attempt, and does not stand in the way."""
    budget = ledger.open_budget("b", Cap())
    first = sent(ledger, budget, asked(oracle, 1), "unknown")
    again = sent(ledger, budget, asked(oracle, 1), None)

    settle(accounts, Verdict(first, "posted"))

    assert (state_of(accounts, first).state, state_of(accounts, again).state) == ("posted", "open")
    assert ledger.budget(budget).held == HOLD


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("posted", "posted already"), ("voided", "voided already"), (None, "in flight")],
)
def test_only_unknowns_can_be_settled(
    ledger: Ledger, accounts: Accounts, oracle: str, outcome: str | None, said: str
) -> None:
    """What was answered, was not billed or is in flight is refused by name, and with it all that came before."""
    budget = ledger.open_budget("b", Cap())
    unknown = sent(ledger, budget, asked(oracle, 1), "unknown")
    other = sent(ledger, budget, asked(oracle, 2), outcome)  # type: ignore[arg-type] # from the parameters
    before = ledger.budget(budget)

    with pytest.raises(UsageError, match=f"attempt {other} is {said}"):
        settle(accounts, Verdict(unknown, "posted"), Verdict(other, "voided"))

    assert ledger.budget(budget) == before
    assert [u.attempt for u in ledger.unknowns(budget)] == [unknown]


def test_an_attempt_is_reconciled_once(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Settling twice, at once or later, is refused and posts nothing twice."""
    budget = ledger.open_budget("b", Cap())
    attempt = sent(ledger, budget, asked(oracle, 1), "unknown")

    with pytest.raises(UsageError, match="posted already"):
        settle(accounts, Verdict(attempt, "posted"), Verdict(attempt, "posted"))
    settle(accounts, Verdict(attempt, "posted"))
    with pytest.raises(UsageError, match="posted already"):
        settle(accounts, Verdict(attempt, "voided"))

    assert ledger.budget(budget).posted == HOLD


@pytest.mark.parametrize("attempt", [0, 99, 10**30])
def test_an_attempt_that_does_not_exist_is_named(accounts: Accounts, attempt: int) -> None:
    """A number that no attempt has is a usage error, however large."""
    with pytest.raises(UsageError, match="there is no attempt"):
        settle(accounts, Verdict(attempt, "voided"))


def test_a_key_names_its_only_unknown(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A key is enough where one unknown has it; where several have, or none, numbers are asked for."""
    budget = ledger.open_budget("b", Cap())
    one, two = asked(oracle, 1), asked(oracle, 2)
    sent(ledger, budget, one, "voided")
    only = sent(ledger, budget, one, "unknown")
    twice = [sent(ledger, budget, two, "unknown") for _ in range(2)]

    done = settle(accounts, Verdict(one.key, "posted"))

    assert [each.attempt for each in done] == [only]
    with pytest.raises(UsageError, match=f"attempts {twice[0]}, {twice[1]} are unknown at key {two.key.hex()}"):
        settle(accounts, Verdict(two.key, "posted"))
    with pytest.raises(UsageError, match="no attempt is unknown at key"):
        settle(accounts, Verdict(one.key, "posted"))


def test_attempts_of_other_budgets_are_refused_where_one_is_named(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """With a budget named, only what lies in it or within can be settled."""
    mine, other = ledger.open_budget("mine", Cap()), ledger.open_budget("other", Cap())
    inside = sent(ledger, ledger.open_budget("inside", Cap(), mine), asked(oracle, 1), "unknown")
    outside = sent(ledger, other, asked(oracle, 2), "unknown")

    with pytest.raises(UsageError, match=f"attempt {outside} lies in budget 'other'"):
        settle(accounts, Verdict(inside, "posted"), Verdict(outside, "posted"), top=mine)

    assert [each.attempt for each in settle(accounts, Verdict(inside, "posted"), top=mine)] == [inside]


@pytest.mark.parametrize("cost", [{"queries": 1}, {"tokens": 1}, {"picodollars": 1}])
def test_what_was_not_billed_cost_nothing(cost: dict[str, int]) -> None:
    """Voided at a cost is a contradiction, and says so."""
    with pytest.raises(UsageError, match="attempt 7 cannot be voided at a cost"):
        Verdict(7, "voided", **cost)


@pytest.mark.parametrize("cost", [-1, 10**19])
def test_a_cost_that_no_ledger_holds_is_refused(cost: int) -> None:
    """Negative costs, and those beyond 64 bits, are usage errors."""
    with pytest.raises(UsageError, match=f"cannot have cost {cost} tokens"):
        Verdict(7, "posted", tokens=cost)


@settings(max_examples=15, deadline=None)
@given(
    sends=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 10**6)), min_size=1, max_size=8),
    data=st.data(),
)
def test_budgets_stay_the_sum_of_their_attempts(
    sends: list[tuple[int, int]], data: st.DataObject, new_place: Callable[[], Place]
) -> None:
    """Whatever is settled and however, each budget has posted and holds what its attempts, and those within, do."""
    with Ledger(new_place()) as ledger:
        oracle = remember(ledger, model="m")
        budgets = [ledger.open_budget("top", Cap())]
        budgets += [ledger.open_budget(name, Cap(), budgets[0]) for name in ("left", "right")]
        sent_ = [
            sent(ledger, budgets[place], asked(oracle, n), "unknown", hold=Units(1, amount, amount))
            for n, (place, amount) in enumerate(sends)
        ]
        verdicts = [
            Verdict(attempt, "posted", tokens=data.draw(st.none() | st.integers(0, 10**6)))
            if data.draw(st.booleans())
            else Verdict(attempt, "voided")
            for attempt in data.draw(st.lists(st.sampled_from(sent_), unique=True))
        ]
        with Accounts(ledger.place) as accounts:
            settle(accounts, *verdicts)
            rows = [accounts.read(lambda c, b=b: list(reports.attempts(c, b))) for b in budgets]  # type: ignore[misc] # a default binds the loop's value
        states = [ledger.budget(budget) for budget in budgets]

    for state, attempts in zip(states, rows, strict=True):
        posted = held = Units()
        for attempt in attempts:
            posted = posted.plus(attempt.cost or Units())
            held = held.plus(attempt.hold if attempt.state == "unknown" else Units())
        assert (state.posted, state.held) == (posted, held)
