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
LACKING = f"{CHAIN} SELECT id FROM budget WHERE id IN chain AND NOT ({FITS})"
RAISES = ", ".join(f"held_{u} = held_{u} + :{u}" for u in UNITS)
RAISE_HELD = f"{CHAIN} UPDATE budget SET {RAISES} WHERE id IN chain AND {FITS}"
MOVES = ", ".join(f"held_{u} = held_{u} - :hold_{u}, posted_{u} = posted_{u} + :cost_{u}" for u in UNITS)
MOVE = f"{CHAIN} UPDATE budget SET {MOVES} WHERE id IN chain"
CLOSE = (
    "UPDATE attempt SET state = ?, reason = ?, closed = ?, cost_queries = ?, cost_tokens = ?, cost_picodollars = ?"
    " WHERE id = ?"
)


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
    """Hold each request's worst case in its budget and every one above, or say why not; in the order given."""
    keys = [request.question.key for request in requests]
    stored, flying = store.find(connection, keys), _owners_of(connection, keys)
    results: list[Granted | Answered | Busy | BudgetExhausted | None] = []
    for key in keys:
        if key in stored:
            results.append(Answered(stored[key]))
        elif key in flying:
            results.append(Busy(flying[key]))
        else:
            flying[key] = owner
            results.append(None)
    wanted = [place for place, result in enumerate(results) if result is None]
    refused = _hold(connection, [requests[place] for place in wanted])
    granted = [place for place, refusal in zip(wanted, refused, strict=True) if refusal is None]
    attempts = dict(zip(granted, _insert(connection, [requests[place] for place in granted], owner), strict=True))
    refusals = dict(zip(wanted, refused, strict=True))
    return [result or refusals.get(place) or Granted(attempts[place]) for place, result in enumerate(results)]


def _owners_of(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, str]:
    """Return who has an open attempt at which of these keys."""
    marks = ", ".join("?" * len(keys))
    return dict(
        connection.execute(f"SELECT key, owner FROM attempt WHERE state = 'open' AND key IN ({marks})", tuple(keys))
    )


def _insert(connection: sqlite3.Connection, requests: Sequence[Request], owner: str) -> range:
    """Open attempts and return their ids; this transaction is the only writer."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
    opened = now()
    connection.executemany(
        "INSERT INTO attempt"
        " (id, key, budget, owner, oracle, free, state, hold_queries, hold_tokens, hold_picodollars, opened)"
        " VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)",
        [
            (
                *(last + place, r.question.key, r.budget, owner, r.question.oracle, int(r.free)),
                *(r.hold.queries, r.hold.tokens, r.hold.picodollars, opened),
            )
            for place, r in enumerate(requests, 1)
        ],
    )
    return range(last + 1, last + 1 + len(requests))


def _hold(connection: sqlite3.Connection, requests: Sequence[Request]) -> list[BudgetExhausted | None]:
    """Raise `held` all the way up for each request, or say why not: for all of a budget at once where they fit."""
    totals: dict[int, Units] = {}
    for request in requests:
        totals[request.budget] = totals.get(request.budget, Units()).plus(request.hold)
    fits = {budget for budget, total in totals.items() if _hold_one(connection, budget, total) is None}
    return [None if r.budget in fits else _hold_one(connection, r.budget, r.hold) for r in requests]


def _hold_one(connection: sqlite3.Connection, budget: int, hold: Units) -> BudgetExhausted | None:
    amounts = {"budget": budget, "queries": hold.queries, "tokens": hold.tokens, "picodollars": hold.picodollars}
    lacking = connection.execute(LACKING, amounts).fetchone()
    if lacking is not None:
        return _refusal(state(connection, lacking[0]), hold)
    connection.execute(RAISE_HELD, amounts)
    return None


def _refusal(budget: BudgetState, hold: Units) -> BudgetExhausted:
    for unit in UNITS:
        cap, needed = getattr(budget.cap, unit), getattr(hold, unit)
        left = None if cap is None else cap - getattr(budget.posted, unit) - getattr(budget.held, unit)
        if left is not None and left < needed:
            return BudgetExhausted(budget.name, unit, remaining=max(left, 0), needed=needed, cap=cap)
    raise AssertionError(f"budget {budget.name!r} was refused, yet lacks nothing")


def settle(connection: sqlite3.Connection, settlements: Sequence[Settlement]) -> None:
    """Close attempts: outcome, cost, release of the hold and the answer, all in the caller's transaction.

    Raises:
        UsageError: one of them is not open; then none is closed.
    """
    closed = now()
    opened = _open_attempts(connection, [settlement.attempt for settlement in settlements])
    moves: dict[int, tuple[Units, Units]] = {}
    rows = []
    for settlement in settlements:
        budget, free, hold = opened.pop(settlement.attempt)
        outcome = "voided" if free and settlement.outcome == "unknown" else settlement.outcome
        cost = settlement.cost
        rows.append(
            (outcome, settlement.reason, closed, cost.queries, cost.tokens, cost.picodollars, settlement.attempt)
        )
        if outcome != "unknown":
            released, posted = moves.get(budget, (Units(), Units()))
            moves[budget] = (released.plus(hold), posted.plus(cost if outcome == "posted" else Units()))
    connection.executemany(CLOSE, rows)
    for budget, (released, posted) in moves.items():
        move(connection, budget, released, posted)
    store.insert(connection, [(s.question, s.reply, s.attempt) for s in settlements if s.question and s.reply], closed)


def _open_attempts(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, tuple[int, bool, Units]]:
    """Return budget, whether free, and hold of these attempts.

    Raises:
        UsageError: one is not open, or named twice.
    """
    marks = ", ".join("?" * len(ids))
    rows = connection.execute(
        "SELECT id, budget, free, hold_queries, hold_tokens, hold_picodollars FROM attempt"
        f" WHERE state = 'open' AND id IN ({marks})",
        tuple(ids),
    )
    found = {row[0]: (row[1], bool(row[2]), Units(*row[3:])) for row in rows}
    if len(found) != len(ids):
        wrong = next(i for place, i in enumerate(ids) if i not in found or i in ids[:place])
        raise UsageError(f"attempt {wrong} is not open: an attempt is settled once")
    return found


def move(connection: sqlite3.Connection, budget: int, hold: Units, cost: Units) -> None:
    """Release holds and post costs, all the way up."""
    amounts = {f"hold_{u}": getattr(hold, u) for u in UNITS} | {f"cost_{u}": getattr(cost, u) for u in UNITS}
    connection.execute(MOVE, {"budget": budget, **amounts})


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
