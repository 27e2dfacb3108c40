"""Queries that a run keeps for those that are lost, and what a run that ended early needs to be completed.

A query whose outcome is unknown may have been billed: it stays held, and asking it again takes a second one of the
budget. So a plan that asked all that a cap allows could never be completed after one loss. Hence one rule for every
run: of so many queries allowed, one in 50 is kept, and the plan asks the others. Free oracles lose nothing.

A person may say how many are kept. Raising the cap and what is kept by as many leaves the plan as it is: that is how
a run that lost more is completed, with the answers that are there already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.ledger.records import BudgetState, Cap
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.oracle import Price

ONE_IN = 50  # queries; one time-out or dropped connection in a hundred queries is already many


def kept(queries: int, price: Price, stated: int | None = None) -> int:
    """Return how many of so many queries are kept for lost ones. stated: by a person, None where nobody did.

    Raises:
        UsageError: what is stated is no number of queries, or leaves none to ask.
    """
    if stated is None:
        return 0 if price.free else queries // ONE_IN
    if not 0 <= stated < max(queries, 1):
        raise UsageError(f"--spare {stated}: keep at least 0 queries, and fewer than the {queries} that are allowed")
    return stated


def allowing(queries: int, price: Price) -> int:
    """Return how many queries must be allowed so that, beside those that are kept, so many are left to ask."""
    if price.free:
        return queries
    return queries + (queries - 1) // (ONE_IN - 1)


@dataclass(frozen=True)
class Rest:
    """What a run has left to ask.

    allowed: the queries that its plan was made for, with none kept. planned: those that the plan asks; answered: of
    these. worst: the most that one may cost. budget: the run's own, after what was spent.
    """

    allowed: int
    planned: int
    answered: int
    worst: Units
    budget: BudgetState

    @property
    def missing(self) -> int:
        """How many queries are needed to complete it, at least: none where all are answered."""
        return max(self.planned - self.answered, 0)

    @property
    def spare(self) -> int:
        """How many must be kept beside the plan so that the rest fits."""
        return max(self.budget.posted.queries + self.budget.held.queries + self.more.queries - self.allowed, 0)

    @property
    def more(self) -> Units:
        """What must be allowed beside what is spent: the worst case of the rest, and of a few lost of it."""
        return self.worst.times(self.missing + math.ceil(self.missing / ONE_IN))

    def cap(self) -> Cap:
        """Return the caps that let the rest be asked: the run's own, raised where that is needed."""
        return raised(self.budget, self.needed)

    @property
    def needed(self) -> Units:
        """What must be allowed beside what is spent: some more than the rest only if the cap is too small for that."""
        least, budget = self.worst.times(self.missing), self.budget
        nothing_lost = budget.held.queries == 0
        return least if nothing_lost and raised(budget, least) == budget.cap else self.more


def raised(budget: BudgetState, more: Units) -> Cap:
    """Return the caps of a budget, raised where so much more does not fit."""
    needed, cap = budget.posted.plus(budget.held).plus(more), budget.cap
    return Cap(
        queries=None if cap.queries is None else max(cap.queries, needed.queries),
        tokens=None if cap.tokens is None else max(cap.tokens, needed.tokens),
        picodollars=None if cap.picodollars is None else max(cap.picodollars, needed.picodollars),
    )


def not_begun(allowed: int, planned: int, worst: Units, cap: Cap) -> Rest:
    """Return what completing a run takes that has asked nothing yet. cap: of its budget."""
    return Rest(allowed, planned, 0, worst, BudgetState(0, "", cap, Units(), Units()))
