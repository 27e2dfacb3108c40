"""Settling unknowns: attempts that may have been billed without an answer, once that is known.

An unknown's hold stays without expiry, since money perhaps spent is never taken to be there. A person, or a vendor's
report, ends that: *posted* (it was billed, at what it cost) or *voided* (it was not). No answer comes with it, so the
next run that needs one asks again. What was posted at its worst case, since its answer could not be read, can be posted
at what it cost. Nothing else can be settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.errors import UsageError
from bbquery.ledger import reports, statements
from bbquery.ledger.records import LARGEST_AMOUNT
from bbquery.money import in_unit
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bbquery.ledger.connection import Connection

Ending: TypeAlias = Literal["posted", "voided"]


@dataclass(frozen=True)
class Verdict:
    """Outcome of an unknown, once known. attempt: its number, or its key where only one unknown has that.

    queries, tokens, picodollars: what a posted one cost, each None for as much as was held.
    """

    attempt: int | bytes
    outcome: Ending
    queries: int | None = None
    tokens: int | None = None
    picodollars: int | None = None

    def __post_init__(self) -> None:
        for unit in statements.UNITS:
            if not 0 <= (getattr(self, unit) or 0) <= LARGEST_AMOUNT:
                raise UsageError(f"{called(self.attempt)} cannot have cost {in_unit(getattr(self, unit), unit)}")
        if self.outcome == "voided" and any((self.queries, self.tokens, self.picodollars)):
            raise UsageError(f"{called(self.attempt)} cannot be voided at a cost: voided means that it was not billed")

    def cost(self, hold: Units) -> Units:
        """Return what it cost, given what was held."""
        if self.outcome == "voided":
            return Units()
        stated = ((getattr(self, unit), getattr(hold, unit)) for unit in statements.UNITS)
        return Units(*(held if cost is None else cost for cost, held in stated))


@dataclass(frozen=True)
class Settled:
    """An attempt that is settled. budget: its path. hold: what was held or assumed before. cost: what is posted now.

    assumed: it was posted at its worst case before.
    """

    attempt: int
    budget: str
    outcome: Ending
    hold: Units
    cost: Units
    assumed: bool = False


def called(attempt: int | bytes) -> str:
    """Return an attempt's number or key as people read it."""
    return f"attempt {attempt}" if isinstance(attempt, int) else f"the attempt at key {attempt.hex()}"


def settle(connection: Connection, verdicts: Iterable[Verdict], top: int | None = None) -> list[Settled]:
    """Settle unknowns, in the caller's transaction; those outside the budget `top`, if one is given, are refused.

    Raises:
        UsageError: an attempt does not exist, is not unknown, or lies elsewhere.
    """
    paths = reports.paths(connection)
    inside = reports.paths(connection, top)
    return [_settle(connection, verdict, paths, inside) for verdict in verdicts]


def all_unknowns(connection: Connection, outcome: Ending, top: int | None = None) -> list[Verdict]:
    """Return the same verdict for every unknown in the budget `top`, or in any; posted ones cost what they hold."""
    return [Verdict(attempt.id, outcome) for attempt in reports.attempts(connection, top, "unknown")]


def _settle(connection: Connection, verdict: Verdict, paths: dict[int, str], inside: dict[int, str]) -> Settled:
    number = _number(connection, verdict.attempt)
    row = connection.execute(
        "SELECT state, coalesce(reason, ''), budget, hold_queries, hold_tokens, hold_picodollars,"
        " cost_queries, cost_tokens, cost_picodollars FROM attempt WHERE id = ?",
        (number,),
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no attempt {number}: 'bbquery budget reconcile' lists those that can be settled")
    state, reason, budget = row[:3]
    hold = Units(*row[3:6])
    if budget not in inside:
        raise UsageError(f"attempt {number} lies in budget {paths[budget]!r}, not within the one that was named")
    assumed = reports.is_assumed(state, reason, hold, Units(*row[6:]) if state == "posted" else None)
    if state != "unknown" and not (assumed and verdict.outcome == "posted"):
        raise UsageError(f"attempt {number} is {_STATES[state]}: only unknown ones can be settled")
    cost = verdict.cost(hold)
    _close(connection, number, verdict.outcome, cost)
    if assumed:
        statements.move(connection, budget, Units(), cost.plus(hold.times(-1)))
    else:
        statements.move(connection, budget, hold, cost)
    return Settled(number, paths[budget], verdict.outcome, hold, cost, assumed)


def _close(connection: Connection, number: int, outcome: Ending, cost: Units) -> None:
    connection.execute(
        "UPDATE attempt SET state = ?, reason = coalesce(reason || '; ', '') || ?, closed = ?,"
        " cost_queries = ?, cost_tokens = ?, cost_picodollars = ? WHERE id = ?",
        (outcome, f"{reports.SETTLED}{outcome}", statements.now(), *cost.amounts, number),
    )


_STATES = {"open": "in flight", "posted": "posted already", "voided": "voided already"}


def _number(connection: Connection, attempt: int | bytes) -> int:
    """Return the number of an attempt that may be named by its key."""
    if isinstance(attempt, int):
        return min(attempt, LARGEST_AMOUNT)  # no attempt has a larger one
    rows = connection.execute("SELECT id FROM attempt WHERE key = ? AND state = 'unknown'", (attempt,)).fetchall()
    if len(rows) != 1:
        known = f"attempts {', '.join(str(row[0]) for row in rows)} are" if rows else "no attempt is"
        raise UsageError(f"{known} unknown at key {attempt.hex()}: name it by its number")
    return int(rows[0][0])
