"""The ledger's rules as SQL, each a function of a connection inside a transaction.

Invariant: in every budget and unit, posted + held <= cap at every commit, unless an answer cost more than its hold.
It holds because `reserve` is the only thing that raises the sum, and its UPDATE carries the condition.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from bbquery import store
from bbquery.errors import BudgetExhausted, UnknownName, UsageError
from bbquery.ledger.records import (
    Answered,
    BudgetState,
    Busy,
    Cap,
    Granted,
    Request,
    Settlement,
    UnknownAttempt,
)
from bbquery.types import Units

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

UNITS = ("queries", "tokens", "picodollars")

# A budget and every budget above it.
CHAIN = (
    "WITH RECURSIVE chain (id) AS (SELECT :budget UNION ALL"
    " SELECT budget.parent FROM budget JOIN chain ON budget.id = chain.id WHERE budget.parent IS NOT NULL) "
)
FITS = " AND ".join(f"(cap_{u} IS NULL OR posted_{u} + held_{u} + :{u} <= cap_{u})" for u in UNITS)


def now() -> str:
    """Return the time for people and records; no rule depends on it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def open_budget(connection: sqlite3.Connection, name: str, cap: Cap, parent: int | None) -> int:
    """Make a budget, or resume it under a new cap; what was posted and held stays. Return its id.

    A cap below what is already posted and held becomes just that: no more may be sent.
    """
    connection.execute("INSERT INTO budget (name, parent) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, parent))
    budget, above = connection.execute("SELECT id, parent FROM budget WHERE name = ?", (name,)).fetchone()
    if above != parent:
        raise UsageError(f"budget {name!r} already lies inside another budget")
    for unit in UNITS:
        connection.execute(
            f"UPDATE budget SET cap_{unit} = max(:cap, posted_{unit} + held_{unit}) WHERE id = :id",
            {"cap": getattr(cap, unit), "id": budget},  # SQLite's max with NULL is NULL: no cap
        )
    return int(budget)


def find_budget(connection: sqlite3.Connection, name: str) -> int:
    """Return the id of the budget of this name."""
    known = dict(connection.execute("SELECT name, id FROM budget ORDER BY name"))
    if name not in known:
        raise UnknownName("budget (make it with 'bbquery budget set NAME')", name, known)
    return int(known[name])


def state(connection: sqlite3.Connection, budget: int) -> BudgetState:
    """Return a budget as it stands."""
    fields = ", ".join(f"{kind}_{unit}" for kind in ("cap", "posted", "held") for unit in UNITS)
    row = connection.execute(f"SELECT name, {fields} FROM budget WHERE id = ?", (budget,)).fetchone()
    if row is None:
        raise UsageError(f"there is no budget with the id {budget} in this ledger")
    name, *amounts = row
    cap = Cap(**dict(zip(UNITS, amounts[:3], strict=True)))
    return BudgetState(budget, name, cap, Units(*amounts[3:6]), Units(*amounts[6:9]))


def reserve(
    connection: sqlite3.Connection, requests: Sequence[Request], owner: str
) -> list[Granted | Answered | Busy | BudgetExhausted]:
    """Hold each request's worst case in its budget and every one above, or say why not."""
    return [_reserve(connection, request, owner) for request in requests]


def _reserve(
    connection: sqlite3.Connection, request: Request, owner: str
) -> Granted | Answered | Busy | BudgetExhausted:
    key = request.question.key
    stored = store.find(connection, key)
    if stored is not None:
        return Answered(stored)
    other = connection.execute("SELECT owner FROM attempt WHERE key = ? AND state = 'open'", (key,)).fetchone()
    if other is not None:
        return Busy(other[0])
    refusal = _hold(connection, request)
    if refusal is not None:
        return refusal
    hold = request.hold
    cursor = connection.execute(
        "INSERT INTO attempt"
        " (key, budget, owner, oracle, free, state, hold_queries, hold_tokens, hold_picodollars, opened)"
        " VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)",
        (
            key,
            request.budget,
            owner,
            request.question.oracle,
            int(request.free),
            hold.queries,
            hold.tokens,
            hold.picodollars,
            now(),
        ),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
    return Granted(cursor.lastrowid)


def _hold(connection: sqlite3.Connection, request: Request) -> BudgetExhausted | None:
    """Raise `held` all the way up, or nowhere."""
    amounts = {"budget": request.budget, **{u: getattr(request.hold, u) for u in UNITS}}
    lacking = connection.execute(
        CHAIN + f"SELECT id FROM budget WHERE id IN chain AND NOT ({FITS})", amounts
    ).fetchone()
    if lacking is not None:
        return _refusal(state(connection, lacking[0]), request.hold)
    held = ", ".join(f"held_{u} = held_{u} + :{u}" for u in UNITS)
    connection.execute(CHAIN + f"UPDATE budget SET {held} WHERE id IN chain AND {FITS}", amounts)
    return None


def _refusal(budget: BudgetState, hold: Units) -> BudgetExhausted:
    for unit in UNITS:
        cap, needed = getattr(budget.cap, unit), getattr(hold, unit)
        left = None if cap is None else cap - getattr(budget.posted, unit) - getattr(budget.held, unit)
        if left is not None and left < needed:
            return BudgetExhausted(budget.name, unit, remaining=max(left, 0), needed=needed, cap=cap)
    raise AssertionError(f"budget {budget.name!r} was refused, yet lacks nothing")


def settle(connection: sqlite3.Connection, settlements: Sequence[Settlement]) -> None:
    """Close attempts: outcome, cost, release of the hold and the answer, all in the caller's transaction."""
    for settlement in settlements:
        _settle(connection, settlement)


def _settle(connection: sqlite3.Connection, settlement: Settlement) -> None:
    row = connection.execute(
        "SELECT budget, free, hold_queries, hold_tokens, hold_picodollars FROM attempt WHERE id = ? AND state = 'open'",
        (settlement.attempt,),
    ).fetchone()
    if row is None:
        raise UsageError(f"attempt {settlement.attempt} is not open: an attempt is settled once")
    budget, free, hold = row[0], bool(row[1]), Units(*row[2:])
    outcome = "voided" if free and settlement.outcome == "unknown" else settlement.outcome
    cost = settlement.cost
    connection.execute(
        "UPDATE attempt SET state = ?, reason = ?, closed = ?,"
        " cost_queries = ?, cost_tokens = ?, cost_picodollars = ? WHERE id = ?",
        (outcome, settlement.reason, now(), cost.queries, cost.tokens, cost.picodollars, settlement.attempt),
    )
    if outcome == "posted":
        _move(connection, budget, hold, cost)
    elif outcome == "voided":
        _move(connection, budget, hold, Units())
    if settlement.question is not None and settlement.reply is not None:
        store.insert(connection, settlement.question, settlement.reply, settlement.attempt, now())


def _move(connection: sqlite3.Connection, budget: int, hold: Units, cost: Units) -> None:
    """Release a hold and post a cost, all the way up."""
    changes = ", ".join(f"held_{u} = held_{u} - :hold_{u}, posted_{u} = posted_{u} + :cost_{u}" for u in UNITS)
    amounts = {f"hold_{u}": getattr(hold, u) for u in UNITS} | {f"cost_{u}": getattr(cost, u) for u in UNITS}
    connection.execute(CHAIN + f"UPDATE budget SET {changes} WHERE id IN chain", {"budget": budget, **amounts})


def owners_in_flight(connection: sqlite3.Connection) -> set[str]:
    """Return everyone who has an open attempt."""
    return {row[0] for row in connection.execute("SELECT DISTINCT owner FROM attempt WHERE state = 'open'")}


def is_open(connection: sqlite3.Connection, key: bytes) -> bool:
    """Whether an attempt at this key is open."""
    return connection.execute("SELECT 1 FROM attempt WHERE key = ? AND state = 'open'", (key,)).fetchone() is not None


def bury(connection: sqlite3.Connection, owner: str) -> int:
    """Close the open attempts of a dead owner: unknown, for they may have been sent. Return how many."""
    rows = connection.execute("SELECT id FROM attempt WHERE owner = ? AND state = 'open'", (owner,)).fetchall()
    settle(
        connection,
        [Settlement(row[0], "unknown", reason="the process that sent it ended without an outcome") for row in rows],
    )
    return len(rows)


def unknowns(connection: sqlite3.Connection, budget: int) -> list[UnknownAttempt]:
    """Return the attempts of a budget (not of those below it) that may have been billed without an answer."""
    rows = connection.execute(
        "SELECT id, key, hold_queries, hold_tokens, hold_picodollars, opened, reason FROM attempt"
        " WHERE budget = ? AND state = 'unknown' ORDER BY id",
        (budget,),
    )
    return [UnknownAttempt(r[0], r[1], Units(*r[2:5]), r[5], r[6] or "no reason recorded") for r in rows]
