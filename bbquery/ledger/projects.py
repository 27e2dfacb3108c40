"""Budgets of runs, inside the budget of their project if there is one: named after it, and counted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.ledger import statements

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import Cap


def name_within(project: str | None, own: str) -> str:
    """Return the name of a run's budget: its own, after that of its project where it has one."""
    return own if project is None else f"{project}/{own}"


def capped_in_dollars(ledger: Ledger, project: str) -> bool:
    """Whether a project, or a budget that it lies in, has a cap in dollars.

    Raises:
        UnknownName: there is no such project; says how to make it.
    """
    budget = ledger.find_budget(project)
    return any(state.cap.picodollars is not None for state in ledger.read(lambda c: statements.chain(c, budget)))


def open_within(ledger: Ledger, project: str | None, own: str, cap: Cap, about: str = "") -> int:
    """Make or resume the budget of a run; return its id. about: its image, for people.

    Raises:
        UsageError: there is no such project, or the budget exists elsewhere.
    """
    parent = None if project is None else ledger.find_budget(project)
    return ledger.open_budget(name_within(project, own), cap, parent, about)
