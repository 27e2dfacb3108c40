"""One query on its way: what travels, what it may cost, and what is called at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.ledger.ledger import LAPSED

if TYPE_CHECKING:
    from bbquery.ledger.store import ImageQuestion
    from bbquery.types import Reply
    from bbquery.units import Units


class Halted(Exception):
    """Not sent, because the run may send no more. reason: why its hold is voided."""

    reason = "the run was halted before it was sent"


class Lapsed(Halted):
    """Not sent, because its hold may count as unknown by now: it is held anew."""

    reason = LAPSED


Ended = Callable[["Reply | None", "Exception | None"], None]
"""Called once, with a query's reply or with how it failed: OracleError, BudgetExhausted, StorageFailed or Halted."""


@dataclass(eq=False, slots=True)
class Query:
    """One attempt at a question. payload: what travels. hold: the most it may cost. attempt: its id, once held.

    known: whether this client has an answer already, which was stored after the question was looked up.
    """

    question: ImageQuestion
    payload: Any
    hold: Units
    ended: Ended
    known: bool = False
    attempt: int = 0

    def end(self, reply: Reply | None, error: Exception | None) -> None:
        """Call `ended`; only the first end counts."""
        ended, self.ended = self.ended, _ended_already
        ended(reply, error)


def _ended_already(reply: Reply | None, error: Exception | None) -> None:
    """Ignore a second end."""
