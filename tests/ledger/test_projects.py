"""Budgets of runs lie within those of their projects, and caps are what a person states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.errors import UsageError
from bbquery.ledger.projects import name_within, open_within
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger


def test_a_run_of_a_project_is_named_after_it_and_counts_in_it(ledger: Ledger) -> None:
    """Its budget bears both names and lies within the project's."""
    project = ledger.open_budget("audit", Cap(queries=5))

    run = open_within(ledger, "audit", "explain-1", Cap(queries=9))

    assert ledger.budget(run).name == name_within("audit", "explain-1") == "audit/explain-1"
    assert ledger.open_budget("audit/explain-1", Cap(queries=9), project) == run


def test_a_run_of_no_project_has_its_own_name_and_is_resumed(ledger: Ledger) -> None:
    """The same name again is the same budget."""
    first, again = (open_within(ledger, None, "explain-1", Cap(queries=9)) for _ in range(2))

    assert first == again
    assert ledger.budget(first).name == name_within(None, "explain-1") == "explain-1"


def test_a_project_that_nobody_made_is_refused(ledger: Ledger) -> None:
    """A project is made on purpose: a name mistyped makes none."""
    with pytest.raises(UsageError, match="adit"):
        open_within(ledger, "adit", "explain-1", Cap(queries=9))


def test_money_is_stated_in_dollars() -> None:
    """A cap of 1.25 dollars is one of 1.25 million million picodollars; what is not stated is no cap."""
    assert Cap.stated(3, None, "1.25") == Cap(queries=3, picodollars=1_250_000_000_000)
    assert Cap.stated(None, 7, None) == Cap(tokens=7)


@pytest.mark.parametrize("usd", ["0", "-1", "much"])
def test_a_cap_that_allows_nothing_or_is_no_amount_is_refused(usd: str) -> None:
    """Both are the caller's mistake, found before anything is asked."""
    with pytest.raises(UsageError):
        Cap.stated(1, None, usd)
