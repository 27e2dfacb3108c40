"""Outcomes of attempts in the ledger: how each is settled, and when a bill shows that no cap is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bbquery.errors import CostAboveHold, MalformedAnswer, OracleError
from bbquery.ledger.records import Settlement
from bbquery.money import in_unit
from bbquery.units import Units, believable

if TYPE_CHECKING:
    from bbquery.ledger.store import ImageQuestion
    from bbquery.types import Reply


class Held(Protocol):
    """An attempt with its hold. question: under which its answer is kept."""

    @property
    def attempt(self) -> int:
        """Its id."""

    @property
    def hold(self) -> Units:
        """The most it may cost."""

    @property
    def question(self) -> ImageQuestion:
        """The question it asks."""


def settlement(held: Held, result: Reply | OracleError) -> Settlement:
    """Return how an attempt ended. What was billed without a cost that is known counts as its worst case."""
    if not isinstance(result, OracleError):
        return Settlement(held.attempt, "posted", result.cost or held.hold, question=held.question, reply=result)
    cost = Units()
    if result.outcome == "posted":
        cost = believable(result.cost if isinstance(result, MalformedAnswer) else None) or held.hold
    return Settlement(held.attempt, result.outcome, cost, reason=f"{type(result).__name__}: {result}")


def above_hold(held: Held, result: Reply | OracleError, oracle: str) -> CostAboveHold | None:
    """Return the error of an answer that cost more than was held for it, readable or not; None where it did not."""
    if isinstance(result, OracleError) and not isinstance(result, MalformedAnswer):
        return None
    cost = believable(result.cost)
    if cost is None or cost.within(held.hold):
        return None
    kept = "" if isinstance(result, MalformedAnswer) else "The answer is kept. "
    message = (
        f"a query cost {_in_words(cost)}, and at most {_in_words(held.hold)} was held for it, so no cap is safe "
        f"and nothing more is sent. {kept}If an option of the oracle states what a query takes "
        "(image_tokens, input_usd, usd_per_query), state more and run again; if none does, please report it"
    )
    return CostAboveHold(message, oracle=oracle)


def _in_words(amount: Units) -> str:
    """Return an amount for people: tokens where there are any, and dollars."""
    paid = in_unit(amount.picodollars, "picodollars")
    return f"{amount.tokens:,} tokens ({paid})" if amount.tokens else paid
