"""Records that go into the ledger and come out of it. Per-query records are tuples, for speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bbquery.errors import UsageError
from bbquery.money import in_unit, picodollars
from bbquery.option_types import whole
from bbquery.units import NOTHING, Units

if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Self

    from bbquery.errors import BudgetExhausted, Outcome
    from bbquery.ledger.store import ImageQuestion
    from bbquery.types import Reply


LARGEST_AMOUNT = 9 * 10**18  # what 64 bits hold, and what 9 million dollars are in picodollars


@dataclass(frozen=True, kw_only=True)
class Cap:
    """The most a budget may post and hold, each None where unlimited. Nothing, and what no one counts, is an error."""

    queries: int | None = None
    tokens: int | None = None
    picodollars: int | None = None

    def __post_init__(self) -> None:
        for unit in ("queries", "tokens", "picodollars"):
            value = getattr(self, unit)
            if value is None:
                continue
            object.__setattr__(self, unit, value := whole(f"a cap of {unit}", value))
            if value < 1:
                least = "give more" if unit == "picodollars" else "give at least 1"
                raise UsageError(f"a budget of {in_unit(value, unit)} allows nothing: {least}")
            if value > LARGEST_AMOUNT:
                message = f"a budget of {in_unit(value, unit)} is more than can be counted"
                raise UsageError(f"{message}: give at most {in_unit(LARGEST_AMOUNT, unit)}, or leave it out")

    @classmethod
    def stated(cls, queries: int | None, tokens: int | None, usd: str | float | Decimal | None) -> Self:
        """Return the caps as people state them: money in dollars.

        Raises:
            UsageError: one allows nothing, or is no amount or no whole number.
        """
        return cls(queries=queries, tokens=tokens, picodollars=None if usd is None else picodollars(usd))


@dataclass(frozen=True)
class BudgetState:
    """A budget as the last commit left it."""

    id: int
    name: str
    cap: Cap
    posted: Units
    held: Units

    @property
    def taken(self) -> Units:
        """What was billed or may have been."""
        return self.posted.plus(self.held)

    @property
    def picodollars_a_query(self) -> int | None:
        """What a query really cost, on average; None where none was paid for."""
        return round(self.posted.picodollars / self.posted.queries) if self.posted.queries else None


class HoldRequest(NamedTuple):
    """A hold to grant before an attempt is sent. hold: the most it may cost. free: it costs nothing in any case."""

    question: ImageQuestion
    budget: int
    hold: Units
    free: bool = False


class Granted(NamedTuple):
    """Held: it may be sent."""

    attempt: int


class Answered(NamedTuple):
    """Another process has stored the answer meanwhile: nothing to send."""

    reply: Reply


class Busy(NamedTuple):
    """Another attempt at the same question is in flight: wait for its outcome."""

    owner: str


Result: TypeAlias = "Granted | Answered | Busy | BudgetExhausted"
"""What becomes of a request."""


class Settlement(NamedTuple):
    """End of an attempt. cost: its real cost, if posted. reply: its answer, to be stored."""

    attempt: int
    outcome: Outcome
    cost: Units = NOTHING
    reason: str | None = None
    question: ImageQuestion | None = None
    reply: Reply | None = None


class Unreadable(NamedTuple):
    """Answers of a budget that were paid for and could not be read. unanswered: their questions without an answer."""

    answers: int
    unanswered: int

    @property
    def paid_again(self) -> int:
        """Number of times that a question was paid again because its answer could not be read."""
        return self.answers - self.unanswered


@dataclass(frozen=True)
class UnknownAttempt:
    """An attempt that may have been billed without bringing an answer; its hold stays."""

    attempt: int
    key: bytes
    hold: Units
    opened: str
    reason: str
