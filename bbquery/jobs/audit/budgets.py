"""Budgets of one photo on one oracle: one for all of it, and in it one for each part that is asked.

    audit-NAME > audit-NAME/ORACLE > audit-NAME/ORACLE/PHOTO > .../clean-HASH, .../explain-HASH, .../attack-HASH

The photo's cap is its promise (see `bbquery.jobs.audit.admission`): what its parts may take at worst, what they have
lost in earlier runs, and what an earlier form of the plan has spent on it; or the plan's own cap of a photo, if lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.audit.admission import less
from bbquery.ledger.records import Cap
from bbquery.units import NOTHING, Units, total

if TYPE_CHECKING:
    from bbquery.jobs.audit.asking import Asking
    from bbquery.ledger.ledger import Ledger


@dataclass(frozen=True)
class Budgets:
    """Budgets that are open. photo: id of the photo's. parts: ids by name. lost: queries that each has lost.

    promise: the most that the photo may post and hold, from its first run on. already: what it has.
    """

    photo: int
    parts: dict[str, int]
    lost: dict[str, int]
    promise: Units
    already: Units


def open_budgets(ledger: Ledger, asking: Asking, name: str, above: int, most: Cap) -> Budgets:
    """Make or resume the budgets of a photo, and allow again what was lost.

    name: of the photo's. above: id of its oracle's. most: the plan's caps of one photo.
    """
    whole = ledger.open_budget(name, cap_of(within(asking.promise, most)), above, asking.photo.name)
    parts, lost = dict[str, int](), dict[str, int]()
    for part in asking.parts:
        own = f"{name}/{part.name}"
        parts[part.name] = budget = ledger.open_budget(own, Cap(queries=part.queries), whole)
        state = ledger.budget(budget)
        if any(state.posted.amounts) or any(state.held.amounts):
            lost[part.name] = _lost(ledger, own, budget)
            ledger.open_budget(own, Cap(queries=part.queries + lost[part.name]), whole)
    state = ledger.budget(whole)
    already = state.posted.plus(state.held)
    promise = total((asking.promise, asking.worst.times(sum(lost.values())), earlier(ledger, asking, name)))
    ledger.open_budget(name, cap_of(within(promise, most)), above)
    return Budgets(whole, parts, lost, within(promise, most), already)


def earlier(ledger: Ledger, asking: Asking, name: str) -> Units:
    """Return what a photo has posted and holds for what is no longer asked: an earlier form of the plan asked it.

    name: of the photo's budget.
    """
    own = (_taken(ledger, f"{name}/{part.name}") for part in asking.parts)
    return less(_taken(ledger, name), total(own))


def _taken(ledger: Ledger, name: str) -> Units:
    """Return what a budget has posted and holds; nothing where there is none."""
    state = ledger.budgets([name]).get(name)
    return NOTHING if state is None else state.posted.plus(state.held)


def _lost(ledger: Ledger, name: str, budget: int) -> int:
    """Return how many queries of a part have no answer to show: unknown ones are held, unreadable ones are posted.

    An attack asks in budgets of its own within the part's.
    """
    inner = [budget, *(ledger.open_budget(f"{name}/{own}", Cap(), budget) for own in ("search", "verification"))]
    return ledger.budget(budget).held.queries + sum(ledger.unreadable(each).answers for each in inner)


def within(promise: Units, most: Cap) -> Units:
    """Return a promise, or in each unit the cap, if that is less."""
    caps = (most.queries, most.tokens, most.picodollars)
    return Units(*(own if cap is None else min(own, cap) for own, cap in zip(promise.amounts, caps, strict=True)))


def cap_of(promise: Units) -> Cap:
    """Return a promise as caps: what nothing is asked of has none."""
    queries, tokens, picodollars = (amount or None for amount in promise.amounts)
    return Cap(queries=queries, tokens=tokens, picodollars=picodollars)
