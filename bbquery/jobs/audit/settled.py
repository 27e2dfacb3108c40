"""Rows as the ledger has them now: what a bill has settled since a row was written is posted, and held no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.audit.summing import Read
    from bbquery.ledger.ledger import Ledger


def settled(read: Read, ledger: Ledger, audit: str) -> Read:
    """Return what gives rows with the money of today. read: gives them as they were written. audit: its budget's name.

    Only rows that held something are looked up; one whose budget this ledger does not have stays as it was written.
    """

    def row(oracle: str, photo: str) -> Row | None:
        found = read(oracle, photo)
        if found is None or not (found.unknown or any(found.held.amounts)):
            return found
        name = f"{audit}/{oracle}/{photo}"
        budget = ledger.budgets([name]).get(name)
        if budget is None:
            return found
        unknown = min(found.unknown, budget.held.queries)
        return replace(found, posted=budget.posted, held=budget.held, unknown=unknown)

    return row
