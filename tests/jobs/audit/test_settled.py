"""Rows after the bill: what an audit says of money is what the ledger says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.audit.settled import settled
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.records import Cap
from bbquery.units import NOTHING
from tests.support.audit_rows import row
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent, settle

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

ROW = row(0, posted=COST, held=HOLD, unknown=1)


def test_a_row_has_the_money_that_the_bill_settled(ledger: Ledger) -> None:
    """What was held when the row was written is posted now, and no query is said to be unknown."""
    budget = ledger.open_budget("audit-t/one/p0", Cap())
    attempt = sent(ledger, budget, asked(remember(ledger, model="cats"), 1), "unknown")
    read = settled(lambda *_: ROW, ledger, "audit-t")
    before = read("one", "p0")

    with Accounts(ledger.place) as accounts:
        settle(accounts, Verdict(attempt, "posted", picodollars=7))
    after = read("one", "p0")

    assert before is not None
    assert after is not None
    assert (before.held, before.unknown) == (HOLD, 1)
    assert (after.held, after.unknown, after.posted.picodollars) == (NOTHING, 0, 7)


def test_a_row_from_another_machine_keeps_its_money(ledger: Ledger) -> None:
    """A ledger that does not know the photo's budget changes nothing."""
    assert settled(lambda *_: ROW, ledger, "audit-t")("one", "p0") == ROW
    assert settled(lambda *_: None, ledger, "audit-t")("one", "p0") is None
