"""The parts of one run: its images, or the methods that it compares, one after another in a budget of its own each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.errors import BudgetExhausted

if TYPE_CHECKING:
    from bbquery.errors import BbqueryError

Status: TypeAlias = Literal["complete", "partial", "failed", "not begun"]


@dataclass(frozen=True)
class Part:
    """Which part of a run is next. place: from 0, of count. name: its own. budget: the run's, of all together."""

    place: int
    count: int
    name: str
    budget: int


def ends_run(error: BbqueryError | None, budget: str, own: tuple[type[BbqueryError], ...]) -> bool:
    """Whether what ended a part would end the next one too.

    budget: how the names of the part's own budgets begin. own: causes that lie in the part alone.
    """
    if isinstance(error, BudgetExhausted):
        return not error.budget.startswith(budget)
    return error is not None and not isinstance(error, own)
