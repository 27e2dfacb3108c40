"""Spending of a run against what it is allowed: the last line of every command that asks, also in records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.money import dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.records import BudgetState
    from bbquery.units import Units

HELD = "what is held may have been billed: 'bbquery budget reconcile'"
LAST_RUN = "in the last run"


def taken(amount: Units | None, money: Callable[[int], str] = dollars) -> str:
    """Return an amount in words: "12 queries, $0.02"; None is not known. money: as of `of_allowed`."""
    if amount is None:
        return "not known"
    said = [f"{amount.queries:,} queries"] if amount.queries else []
    said += [f"{amount.tokens:,} tokens"] if amount.tokens else []
    said += [f"${money(amount.picodollars)}"] if amount.picodollars else []
    return ", ".join(said) or "nothing"


def spent(budget: BudgetState, from_store: int, sent: int) -> str:
    """Return what a budget has spent of what it allows, in every run of it, and how many answers the store gave.

    from_store: of this run, those for which nothing was sent. sent: of this run; said where earlier ones sent more.
    """
    stored = f"{from_store:,} {'answer' if from_store == 1 else 'answers'} from the store"
    if sent < budget.posted.queries + budget.held.queries:
        stored += f", {f'{sent:,}' if sent else 'nothing'} sent now"
    held = [HELD] if any(budget.held.amounts) else []
    return "; ".join((f"spent: {', '.join(of_allowed(budget)) or 'nothing'}", stored, *held))


def of_allowed(budget: BudgetState, money: Callable[[int], str] = dollars) -> list[str]:
    """Return what was posted, held and allowed in each unit that was used or capped: "98 of 100 queries (2 held)".

    money: shows picodollars in dollars.
    """
    units: tuple[tuple[str, Callable[[int], str], str], ...] = (
        ("queries", "{:,}".format, " queries"),
        ("tokens", "{:,}".format, " tokens"),
        ("picodollars", lambda amount: f"${money(amount)}", ""),
    )
    said = []
    for unit, show, word in units:
        posted, held, cap = (getattr(kind, unit) for kind in (budget.posted, budget.held, budget.cap))
        if posted or held or cap is not None:
            allowed = "" if cap is None else f" of {show(cap)}"
            kept = f" ({show(held)} held)" if held else ""
            said.append(f"{show(posted)}{allowed}{word}{kept}")
    return said
