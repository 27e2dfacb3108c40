"""What goes into the ledger and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.types import Units

if TYPE_CHECKING:
    from bbquery.errors import Outcome
    from bbquery.store import Question
    from bbquery.types import Reply


@dataclass(frozen=True, kw_only=True)
class Cap:
    """The most a budget may post and hold, each None where unlimited. Zero or less is a usage error."""

    queries: int | None = None
    tokens: int | None = None
    picodollars: int | None = None

    def __post_init__(self) -> None:
        for unit in ("queries", "tokens", "picodollars"):
            value = getattr(self, unit)
            if value is not None and value < 1:
                raise UsageError(f"a budget of {value} {unit} allows nothing: give at least 1")


@dataclass(frozen=True)
class BudgetState:
    """A budget as the last commit left it."""

    id: int
    name: str
    cap: Cap
    posted: Units
    held: Units


@dataclass(frozen=True)
class Request:
    """What must be granted before it is sent. hold: the most it may cost. free: it costs nothing, whatever happens."""

    question: Question
    budget: int
    hold: Units
    free: bool = False


@dataclass(frozen=True)
class Granted:
    """Held: it may be sent."""

    attempt: int


@dataclass(frozen=True)
class Answered:
    """Another process has stored the answer meanwhile: nothing to send."""

    reply: Reply


@dataclass(frozen=True)
class Busy:
    """Another attempt at the same question is in flight: wait for its outcome."""

    owner: str


@dataclass(frozen=True)
class Settlement:
    """How an attempt ended. cost: what it really cost, for posted ones. reply: what it brought, to be stored."""

    attempt: int
    outcome: Outcome
    cost: Units = field(default_factory=Units)
    reason: str | None = None
    question: Question | None = None
    reply: Reply | None = None


@dataclass(frozen=True)
class UnknownAttempt:
    """An attempt that may have been billed without bringing an answer; its hold stays."""

    attempt: int
    key: bytes
    hold: Units
    opened: str
    reason: str
