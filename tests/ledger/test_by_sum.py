"""Unknowns and unread costs that a report settles by their sum, and reports of servers on this machine."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.ledger import reports, vendor
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.records import Cap
from bbquery.ledger.usage import Usage
from bbquery.units import Units, total
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.errors import Outcome
    from bbquery.ledger.places import Place
    from bbquery.ledger.vendor import Comparison

DAY = datetime.datetime(2026, 4, 13, tzinfo=datetime.UTC)
NEXT_DAY = DAY + datetime.timedelta(days=1)
MUCH_LATER = DAY + datetime.timedelta(days=30)
ALL = ("queries", "tokens", "picodollars")
UNREAD = "MalformedAnswer: no answer"
SERVER = "127.0.0.1:8000"


def usage(amount: Units, *, start: datetime.datetime = DAY, model: str = "gpt-4o", server: str = "") -> Usage:
    return Usage(model, start, start + datetime.timedelta(days=1), amount, ALL, server)


def compare(accounts: Accounts, *report: Usage, by_sum: bool = True, now: datetime.datetime = MUCH_LATER) -> Comparison:
    return accounts.read(lambda c: vendor.compare(c, report, now, by_sum=by_sum))


def photos(ledger: Ledger, *names: str) -> list[int]:
    """Return budgets of photos, within that of an audit."""
    whole = ledger.open_budget("audit", Cap())
    return [ledger.open_budget(f"audit/{name}", Cap(), whole) for name in names]


def test_some_of_several_unknowns_are_settled_by_their_sum_alone(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """As many as were billed are posted at what the vendor counts, once a person asks for it; the others are voided."""
    first, second = photos(ledger, "a", "b")
    sent(ledger, first, asked(oracle, 0))
    unknowns = [sent(ledger, each, asked(oracle, n), "unknown") for n, each in enumerate((first, second, second), 1)]
    report = usage(Units(3, COST.tokens + 51, COST.picodollars + 7))

    unasked = compare(accounts, report, by_sum=False)
    found = compare(accounts, report)

    assert unasked.verdicts == []
    assert "2 of 3 unknowns were billed" in unasked.windows[0].conclusion
    assert "--by-sum" in unasked.windows[0].conclusion
    assert found.verdicts == [
        Verdict(unknowns[0], "posted", 1, 26, 4),
        Verdict(unknowns[1], "posted", 1, 25, 3),
        Verdict(unknowns[2], "voided"),
    ]
    assert found.windows[0].conclusion.endswith("the sum of audit is as billed")


@settings(max_examples=20, deadline=None)
@given(
    attempts=st.lists(
        st.tuples(
            st.sampled_from(["posted", "unread", "billed", "not billed"]),
            st.integers(0, 2),
            st.integers(0, 40),
            st.integers(0, 40),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_by_sum_the_ledger_ends_with_the_bill(
    attempts: list[tuple[str, int, int, int]], new_place: Callable[[], Place]
) -> None:
    """Whatever was billed, a true report ends with its sum posted, nothing held, and no budget above its cap."""
    with Ledger(new_place()) as ledger:
        oracle = remember(ledger, model="gpt-4o")
        budgets, bill = photos(ledger, "a", "b", "c"), Units()
        for n, (kind, place, taken, more) in enumerate(attempts):
            cost, hold = Units(1, taken, 2 * taken), Units(1, taken + more, 2 * (taken + more))
            outcome: Outcome = "unknown" if kind.endswith("billed") else "posted"
            known, reason = (hold, UNREAD) if kind == "unread" else (cost, None)
            sent(ledger, budgets[place], asked(oracle, n), outcome, hold=hold, cost=known, reason=reason)
            bill = bill.plus(cost if kind != "not billed" else Units())
        before = [total((s.posted, s.held)) for s in map(ledger.budget, budgets)]
        with Accounts(ledger.place) as accounts:
            found = compare(accounts, usage(bill))
            settle(accounts, *found.verdicts)
        whole = ledger.budget(1)
        after = [ledger.budget(each) for each in budgets]

    if found.windows[0].conclusion != "differs":  # dearer ones may be taken for cheaper ones, never the reverse
        assert (whole.posted, whole.held) == (bill, Units())
    assert all(total((s.posted, s.held)).within(most) for s, most in zip(after, before, strict=True))


def test_a_cost_that_could_not_be_read_is_corrected(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """What is posted at its worst case costs what the vendor says, and is settled only once."""
    (budget,) = photos(ledger, "a")
    unread = sent(ledger, budget, asked(oracle, 1), cost=HOLD, reason=UNREAD)
    sent(ledger, budget, asked(oracle, 2))
    bill = Units(2, COST.tokens + 5, COST.picodollars + 9)

    found = compare(accounts, usage(bill), by_sum=False)
    (settled,) = settle(accounts, *found.verdicts)
    again = compare(accounts, usage(bill), by_sum=False)

    assert found.verdicts == [Verdict(unread, "posted", 1, 5, 9)]
    assert (settled.assumed, settled.hold) == (True, HOLD)
    assert ledger.budget(1).posted == bill
    assert (again.verdicts, again.windows[0].conclusion) == ([], "agrees")


def test_by_sum_days_that_follow_one_another_are_one(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """What was sent before midnight and billed after it is in the sum."""
    (budget,) = photos(ledger, "a")
    sent(ledger, budget, asked(oracle, 1), at="2026-04-13T23:59:59.999+00:00")
    unknown = sent(ledger, budget, asked(oracle, 2), "unknown", at="2026-04-14T10:00:00.000+00:00")
    report = usage(Units()), usage(COST, start=NEXT_DAY)

    apart = compare(accounts, *report, by_sum=False)
    found = compare(accounts, *report)

    assert apart.verdicts == []
    assert found.verdicts == [Verdict(unknown, "voided")]


def test_a_server_on_this_machine_reports_what_was_asked_there(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A rehearsal is settled by the server's own report, at once; other servers and the vendor are left alone."""
    (budget,) = photos(ledger, "a")
    here = remember(ledger, oracle="openai", model="gpt-4o", base_url="http://localhost:8000/v1")
    there = remember(ledger, oracle="openai", model="gpt-4o", base_url="http://127.0.0.1:8001/v1")
    unknown = sent(ledger, budget, asked(here, 1), "unknown")
    sent(ledger, budget, asked(there, 2), "unknown")
    real = sent(ledger, budget, asked(oracle, 3), "unknown")

    found = compare(accounts, usage(COST, model="", server=SERVER), by_sum=False, now=NEXT_DAY)

    assert found.verdicts == [Verdict(unknown, "posted", *COST.amounts)]
    assert [each.id for each in found.outside] == [real]


def test_addresses_are_known_by_any_of_their_spellings() -> None:
    """A URL, an address and localhost name the same server; other machines are no rehearsal."""
    urls = ("http://localhost:8000/v1", "127.0.0.1:8000", "http://127.0.0.1:8000?x", "LOCALHOST:8000")

    assert {reports.server_of(url) for url in urls} == {SERVER}
    assert reports.on_this_machine(reports.server_of("http://[::1]:8000/v1"))
    assert not reports.on_this_machine(reports.server_of("https://127.0.0.1.example.org/v1"))
