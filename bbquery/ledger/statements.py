"""The ledger's rules as SQL, each a function of a connection inside a transaction.

Invariant: in every budget and unit, posted + held <= cap at every commit, unless an answer cost more than its hold.
It holds because `reserve` is the only thing that raises the sum, and its UPDATE carries the condition.
"""

from __future__ import annotations

import datetime
import json
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
from bbquery.many_rows import execute_rows
from bbquery.types import Units, total

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bbquery.ledger.records import Result

UNITS = ("queries", "tokens", "picodollars")

# A budget and every budget above it.
CHAIN = (
    "WITH RECURSIVE chain (id) AS (SELECT :budget UNION ALL"
    " SELECT budget.parent FROM budget JOIN chain ON budget.id = chain.id WHERE budget.parent IS NOT NULL) "
)
FITS = " AND ".join(f"(cap_{u} IS NULL OR posted_{u} + held_{u} + :{u} <= cap_{u})" for u in UNITS)
LACKING = f"SELECT id FROM budget WHERE id IN chain AND NOT ({FITS})"
RAISES = ", ".join(f"held_{u} = held_{u} + :{u}" for u in UNITS)
RAISE_HELD = (  # rows are counted only of what begins with UPDATE
    f"UPDATE budget SET {RAISES} WHERE id IN ({CHAIN} SELECT id FROM chain) AND NOT EXISTS ({CHAIN} {LACKING})"
)
MOVES = ", ".join(f"held_{u} = held_{u} - :hold_{u}, posted_{u} = posted_{u} + :cost_{u}" for u in UNITS)
MOVE = f"{CHAIN} UPDATE budget SET {MOVES} WHERE id IN chain"
OPEN = (
    "INSERT INTO attempt"
    " (key, budget, owner, oracle, free, state, hold_queries, hold_tokens, hold_picodollars, opened) VALUES {rows}"
)
CLOSE = (  # what is free and perhaps billed was not billed
    "WITH ended (id, state, reason, closed, queries, tokens, picodollars) AS (VALUES {rows})"
    " UPDATE attempt SET state = iif(free AND ended.state = 'unknown', 'voided', ended.state),"
    " reason = ended.reason, closed = ended.closed,"
    " cost_queries = ended.queries, cost_tokens = ended.tokens, cost_picodollars = ended.picodollars"
    " FROM ended WHERE attempt.id = ended.id AND attempt.state = 'open'"
)
# The attempts of :ids, and each of their budgets with every budget above it.
CLOSED = "closed AS (SELECT * FROM attempt WHERE id IN (SELECT value FROM json_each(:ids)))"
ABOVE = (
    "above (budget, id) AS (SELECT DISTINCT budget, budget FROM closed UNION ALL"
    " SELECT above.budget, parent FROM above JOIN budget ON budget.id = above.id WHERE parent IS NOT NULL)"
)
MOVED = ", ".join(
    f"sum(iif(state = 'unknown', 0, hold_{u})) AS hold_{u}, sum(iif(state = 'posted', cost_{u}, 0)) AS cost_{u}"
    for u in UNITS
)
APPLIED = ", ".join(f"held_{u} = held_{u} - hold_{u}, posted_{u} = posted_{u} + cost_{u}" for u in UNITS)
MOVE_ALL = (
    f"WITH RECURSIVE {CLOSED}, {ABOVE}, moved AS"
    f" (SELECT above.id AS id, {MOVED} FROM closed JOIN above USING (budget) GROUP BY above.id)"
    f" UPDATE budget SET {APPLIED} FROM moved WHERE budget.id = moved.id"
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


def reserve(connection: sqlite3.Connection, requests: Sequence[Request], owner: str) -> list[Result]:
    """Hold each request's worst case in its budget and every one above, or say why not; in the order given."""
    known = _known(connection, [request.question.key for request in requests])
    results: dict[int, Result] = {}
    for place, request in enumerate(requests):
        key = request.question.key
        if key in known:
            results[place] = known[key]
        else:
            known[key] = Busy(owner)
    wanted = [request for place, request in enumerate(requests) if place not in results] if results else requests
    refused = _hold(connection, wanted)
    granted = [request for request, refusal in zip(wanted, refused, strict=True) if refusal is None]
    attempts = iter(_insert(connection, granted, owner))
    decided = (Granted(next(attempts)) if refusal is None else refusal for refusal in refused)
    return [results[place] if place in results else next(decided) for place in range(len(requests))]


def _known(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Result]:
    """Return which of these keys have an answer stored, or an attempt open."""
    marks = ", ".join(f"?{place}" for place in range(1, len(keys) + 1))
    rows = connection.execute(
        f"SELECT key, answer, served, NULL FROM answer WHERE key IN ({marks}) UNION ALL"
        f" SELECT key, NULL, NULL, owner FROM attempt WHERE state = 'open' AND key IN ({marks})",
        tuple(keys),
    ).fetchall()
    return {
        key: Answered(store.reply(answer, served)) if owner is None else Busy(owner)
        for key, answer, served, owner in reversed(rows)  # what is answered counts, whoever asks again
    }


def _insert(connection: sqlite3.Connection, requests: Sequence[Request], owner: str) -> range:
    """Open attempts and return their ids."""
    if not requests:
        return range(0)
    opened = now()
    rows = [
        (r.question.key, r.budget, owner, r.question.oracle, int(r.free), "open", *r.hold.amounts, opened)
        for r in requests
    ]
    execute_rows(connection, OPEN, rows)
    # Ids are one above the largest, row by row, and this transaction is the only writer.
    (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    return range(last + 1 - len(requests), last + 1)


def _hold(connection: sqlite3.Connection, requests: Sequence[Request]) -> list[BudgetExhausted | None]:
    """Raise `held` all the way up for each request, or say why not: for all of a budget at once where they fit."""
    holds: dict[int, list[Units]] = {}
    for request in requests:
        holds.setdefault(request.budget, []).append(request.hold)
    fits = {budget for budget, wanted in holds.items() if _hold_one(connection, budget, total(wanted)) is None}
    return [None if r.budget in fits else _hold_one(connection, r.budget, r.hold) for r in requests]


def _hold_one(connection: sqlite3.Connection, budget: int, hold: Units) -> BudgetExhausted | None:
    amounts = {"budget": budget, **dict(zip(UNITS, hold.amounts, strict=True))}
    if connection.execute(RAISE_HELD, amounts).rowcount:
        return None
    (lacking,) = connection.execute(f"{CHAIN} {LACKING}", amounts).fetchone()
    return _refusal(state(connection, lacking), hold)


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
    closed, before = now(), connection.total_changes
    rows = [(s.attempt, s.outcome, s.reason, closed, *s.cost.amounts) for s in settlements]
    execute_rows(connection, CLOSE, rows)
    if connection.total_changes - before != len(rows):
        raise UsageError(f"attempts {', '.join(str(row[0]) for row in rows)} are not all open: each is settled once")
    connection.execute(MOVE_ALL, {"ids": json.dumps([row[0] for row in rows])})
    store.insert(connection, [(s.question, s.reply, s.attempt) for s in settlements if s.question and s.reply], closed)


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
