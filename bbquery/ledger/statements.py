"""The ledger's rules as SQL, each a function of a connection inside a transaction.

Invariant: in every budget and unit, posted + held <= cap at every commit, unless an answer cost more than its hold.
It holds because `reserve` is the only thing that raises the sum, and no other transaction can write between its
reading a budget and its raising `held`.
"""

from __future__ import annotations

import datetime
import itertools
import operator
import shlex
from typing import TYPE_CHECKING, Any

from bbquery.errors import BudgetExhausted, UnknownName, UsageError
from bbquery.ledger import store
from bbquery.ledger.records import (
    Answered,
    BudgetState,
    Busy,
    Cap,
    Granted,
    HoldRequest,
    Settlement,
    UnknownAttempt,
    Unreadable,
)
from bbquery.ledger.rows import blob, execute_rows, insert_rows, parts, with_rows
from bbquery.units import NOTHING, Units, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.records import Result

UNITS = ("queries", "tokens", "picodollars")
BURIED = "the process that sent it ended without an outcome"

# A budget and every budget above it.
CHAIN = (
    "WITH RECURSIVE chain (id, level) AS (SELECT :budget, 0 UNION ALL"
    " SELECT budget.parent, level + 1 FROM budget JOIN chain ON budget.id = chain.id WHERE budget.parent IS NOT NULL) "
)
STATE = ", ".join(["id", "name", *(f"{kind}_{unit}" for kind in ("cap", "posted", "held") for unit in UNITS)])
STATES = f"{CHAIN} SELECT {STATE} FROM chain JOIN budget USING (id) ORDER BY level"
RAISE_HELD = f"UPDATE budget SET {', '.join(f'held_{u} = held_{u} + ?' for u in UNITS)} WHERE id = ?"
MOVES = ", ".join(f"held_{u} = held_{u} - :hold_{u}, posted_{u} = posted_{u} + :cost_{u}" for u in UNITS)
MOVE = f"{CHAIN} UPDATE budget SET {MOVES} WHERE id IN (SELECT id FROM chain)"
OPEN = (
    "INSERT INTO attempt"
    " (budget, owner, oracle, free, state, opened, key, hold_queries, hold_tokens, hold_picodollars)"
    " SELECT ?, ?, ?, ?, 'open', ?, * FROM {rows} AS given"
)
USED = (
    "INSERT INTO budget_oracle (used, budget, oracle) SELECT ?, * FROM {rows} AS given WHERE true"
    " ON CONFLICT (budget, oracle) DO UPDATE SET used = excluded.used WHERE excluded.used > budget_oracle.used"
)
CLOSE = (  # columns of ended: id, queries, tokens, picodollars. What is free and perhaps billed was not billed
    "UPDATE attempt SET state = CASE WHEN free = 1 AND ? = 'unknown' THEN 'voided' ELSE ? END, reason = ?, closed = ?,"
    " cost_queries = ended.column2, cost_tokens = ended.column3, cost_picodollars = ended.column4"
    " FROM {rows} AS ended WHERE attempt.id = ended.column1"
    f" AND (attempt.state = 'open' OR attempt.state = 'unknown' AND attempt.reason = '{BURIED}')"
)
# Of these attempts, those that were free, and voided because their owner was taken for dead.
FORGIVEN = f"SELECT id FROM attempt WHERE id IN {{rows}} AND free = 1 AND state = 'voided' AND reason = '{BURIED}'"
KNOWN = (
    "SELECT asked.column1, answer.answer, answer.served, attempt.owner FROM {rows} AS asked"
    " LEFT JOIN answer ON answer.key = asked.column1"
    " LEFT JOIN attempt ON attempt.key = asked.column1 AND attempt.state = 'open'"
    " WHERE answer.answer IS NOT NULL OR attempt.owner IS NOT NULL"
)
# What closed attempts release and post, budget by budget: what is unknown stays held.
RELEASED = ", ".join(f"sum(CASE state WHEN 'unknown' THEN 0 ELSE hold_{u} END)" for u in UNITS)
POSTED = ", ".join(f"sum(CASE state WHEN 'posted' THEN cost_{u} ELSE 0 END)" for u in UNITS)
CLOSED = f"SELECT budget, {RELEASED}, {POSTED} FROM attempt WHERE id IN ({{ids}}) GROUP BY budget"


def now() -> str:
    """Return the time for people and records; no rule depends on it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def open_budget(connection: Connection, name: str, cap: Cap, parent: int | None, about: str = "") -> int:
    """Make a budget, or resume it under a new cap; what was posted and held stays. Return its id.

    A cap below what is already posted and held becomes just that: no more may be sent. about: its image, for people.
    """
    connection.execute(
        "INSERT INTO budget (name, parent, opened) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (name, parent, now()),
    )
    if about:
        connection.execute("UPDATE budget SET about = ? WHERE name = ?", (about, name))
    budget, above = connection.execute("SELECT id, parent FROM budget WHERE name = ?", (name,)).fetchone()
    if above != parent:
        raise UsageError(f"budget {name!r} already lies inside another budget")
    for unit in UNITS:
        spent, wanted = f"posted_{unit} + held_{unit}", "CAST(:cap AS BIGINT)"  # NULL, no cap, is below nothing
        least = f"CASE WHEN {wanted} < {spent} THEN {spent} ELSE {wanted} END"
        values = {"cap": getattr(cap, unit), "id": budget}
        connection.execute(f"UPDATE budget SET cap_{unit} = {least} WHERE id = :id", values)
    return int(budget)


def budget_named(connection: Connection, name: str) -> BudgetState | None:
    """Return the budget of this name as it stands; None where there is none, which costs no look at the others."""
    row = connection.execute(f"SELECT {STATE} FROM budget WHERE name = ?", (name,)).fetchone()
    return None if row is None else _state(row)


def find_budget(connection: Connection, name: str) -> int:
    """Return the id of the budget of this name.

    Raises:
        UnknownName: there is none; it suggests names of others, for people.
    """
    row = connection.execute("SELECT id FROM budget WHERE name = ?", (name,)).fetchone()
    if row is None:
        known = [name for (name,) in connection.execute("SELECT name FROM budget ORDER BY name")]
        make = f"make it with 'bbquery budget set {shlex.quote(name)} --max-usd 20'"
        raise UnknownName("budget", name, known, if_new=make)
    return int(row[0])


def state(connection: Connection, budget: int) -> BudgetState:
    """Return a budget as it stands."""
    row = connection.execute(f"SELECT {STATE} FROM budget WHERE id = ?", (budget,)).fetchone()
    if row is None:
        raise UsageError(f"there is no budget with the id {budget} in this ledger")
    return _state(row)


def states(connection: Connection) -> dict[int, BudgetState]:
    """Return every budget as it stands, by id, oldest first."""
    return {row[0]: _state(row) for row in connection.execute(f"SELECT {STATE} FROM budget ORDER BY id")}


def _state(row: tuple[Any, ...]) -> BudgetState:
    budget, name, *amounts = row
    cap = Cap(**dict(zip(UNITS, amounts[:3], strict=True)))
    return BudgetState(budget, name, cap, Units(*amounts[3:6]), Units(*amounts[6:9]))


def reserve(connection: Connection, requests: Sequence[HoldRequest], owner: str) -> list[Result]:
    """Hold each request's worst case in its budget and every one above, or say why not; in the order given."""
    known = _known(connection, [request.question.key for request in requests])
    before, wanted, busy = [], [], Busy(owner)
    for request in requests:
        before.append(known.get(request.question.key))
        if before[-1] is None:
            wanted.append(request)
            known[request.question.key] = busy
    decided = iter(_decided(connection, wanted, owner))
    return [next(decided) if result is None else result for result in before]


def _decided(connection: Connection, requests: Sequence[HoldRequest], owner: str) -> list[Granted | BudgetExhausted]:
    """Hold and open the attempts that there is room for; return the outcome of each in the order given."""
    refused = _hold(connection, requests)
    granted = [request for request, refusal in zip(requests, refused, strict=True) if refusal is None]
    attempts = map(Granted, _insert(connection, granted, owner))
    return [next(attempts) if refusal is None else refusal for refusal in refused]


def _known(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, Result]:
    """Return which of these keys have an answer stored, or an attempt open."""
    known: dict[bytes, Result] = {}
    for part in parts(keys):
        rows = connection.execute(with_rows(KNOWN, 1, len(part)), tuple(map(blob, part))).fetchall()
        for key, answer, served, owner in rows:  # what is answered counts, whoever asks again
            known[key] = Busy(owner) if answer is None else Answered(store.reply(key, answer, served))
    return known


def _insert(connection: Connection, requests: Sequence[HoldRequest], owner: str) -> range:
    """Open attempts and return their ids."""
    opened, last = now(), 0
    for (budget, oracle, free), alike in itertools.groupby(requests, lambda r: (r.budget, r.question.oracle, r.free)):
        rows = [(blob(r.question.key), r.hold.queries, r.hold.tokens, r.hold.picodollars) for r in alike]
        last = insert_rows(connection, OPEN, rows, (budget, owner, oracle, int(free), opened))
    used = list({(request.budget, request.question.oracle): None for request in requests})
    execute_rows(connection, USED, used, (opened,))
    # Ids follow one another, row by row, and this transaction is the only writer.
    return range(last + 1 - len(requests), last + 1)


def _hold(connection: Connection, requests: Sequence[HoldRequest]) -> list[BudgetExhausted | None]:
    """Raise `held` all the way up for each request, or say why not: for all of a budget at once where they fit."""
    holds: dict[int, list[Units]] = {}
    for request in requests:
        holds.setdefault(request.budget, []).append(request.hold)
    rooms = _Rooms(connection, holds)
    fits = {budget for budget, wanted in holds.items() if rooms.take(budget, total(wanted)) is None}
    refused = [None if r.budget in fits else rooms.take(r.budget, r.hold) for r in requests]
    for level, held in rooms.taken.items():
        connection.execute(RAISE_HELD, (*held.amounts, level))
    return refused


class _Rooms:
    """Amounts left in some budgets and those above them, read in one statement and counted down here.

    taken: what was taken of each since it was read.
    """

    def __init__(self, connection: Connection, budgets: Iterable[int]) -> None:
        self._chains = {budget: chain(connection, budget) for budget in budgets}
        self.taken: dict[int, Units] = {}

    def take(self, budget: int, hold: Units) -> BudgetExhausted | None:
        """Take a hold from a budget and all above it, or from none, and say which lacks what."""
        for level in self._chains[budget]:
            if refusal := _refusal(level, self.taken.get(level.id, NOTHING), hold):
                return refusal
        for level in self._chains[budget]:
            self.taken[level.id] = self.taken.get(level.id, NOTHING).plus(hold)
        return None


def chain(connection: Connection, budget: int) -> list[BudgetState]:
    """Return a budget and every budget above it, nearest first."""
    return [_state(row) for row in connection.execute(STATES, {"budget": budget}).fetchall()]


def _refusal(budget: BudgetState, more: Units, hold: Units) -> BudgetExhausted | None:
    """Return what a budget lacks for a hold once `more` is held too; None if it has enough."""
    for unit in UNITS:
        cap, needed = getattr(budget.cap, unit), getattr(hold, unit)
        if cap is None:
            continue
        left = cap - getattr(budget.posted, unit) - getattr(budget.held, unit) - getattr(more, unit)
        if left < needed:
            return BudgetExhausted(budget.name, unit, remaining=max(left, 0), needed=needed, cap=cap)
    return None


def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Close attempts: outcome, cost, release of the hold and the answer, all in the caller's transaction.

    One that was buried while its owner was out of reach takes its true outcome: what is unknown is held still. One that
    was free besides holds nothing any more, so only its answer is kept.

    Raises:
        UsageError: one of them is not open; then none is closed.
    """
    closed, ended = now(), 0
    for (outcome, reason), alike in itertools.groupby(settlements, operator.attrgetter("outcome", "reason")):
        rows = [(s.attempt, s.cost.queries, s.cost.tokens, s.cost.picodollars) for s in alike]
        ended += execute_rows(connection, CLOSE, rows, (outcome, outcome, reason, closed))
    attempts = [s.attempt for s in settlements]
    if ended != len(attempts):
        forgiven = _forgiven(connection, attempts)
        attempts = [attempt for attempt in attempts if attempt not in forgiven]
    if ended != len(attempts):
        raise UsageError(f"attempts {', '.join(map(str, attempts))} are not all open: each is settled once")
    for part in parts(attempts):
        sums = connection.execute(CLOSED.format(ids=", ".join("?" * len(part))), part).fetchall()
        for budget, *amounts in sums:
            move(connection, budget, Units(*amounts[:3]), Units(*amounts[3:]))
    store.insert(connection, [(s.question, s.reply, s.attempt) for s in settlements if s.question and s.reply], closed)


def _forgiven(connection: Connection, attempts: Sequence[int]) -> set[int]:
    return {row[0] for part in parts(attempts) for row in connection.execute(with_rows(FORGIVEN, 1, len(part)), part)}


def move(connection: Connection, budget: int, hold: Units, cost: Units) -> None:
    """Release holds and post costs, all the way up."""
    amounts = {f"hold_{u}": getattr(hold, u) for u in UNITS} | {f"cost_{u}": getattr(cost, u) for u in UNITS}
    connection.execute(MOVE, {"budget": budget, **amounts})


def owners_in_flight(connection: Connection) -> set[str]:
    """Return everyone who has an open attempt."""
    return {row[0] for row in connection.execute("SELECT DISTINCT owner FROM attempt WHERE state = 'open'")}


def asked_by(connection: Connection, key: bytes) -> str | None:
    """Return who has an open attempt at this key; None for nobody."""
    row = connection.execute("SELECT owner FROM attempt WHERE key = ? AND state = 'open'", (key,)).fetchone()
    return None if row is None else str(row[0])


def bury(connection: Connection, owner: str) -> int:
    """Close the open attempts of a dead owner: unknown, for they may have been sent. Return how many."""
    rows = connection.execute("SELECT id FROM attempt WHERE owner = ? AND state = 'open'", (owner,)).fetchall()
    settle(
        connection,
        [Settlement(row[0], "unknown", reason=BURIED) for row in rows],
    )
    return len(rows)


def unknowns(connection: Connection, budget: int) -> list[UnknownAttempt]:
    """Return the attempts of a budget (not of those below it) that may have been billed without an answer."""
    rows = connection.execute(
        "SELECT id, key, hold_queries, hold_tokens, hold_picodollars, opened, reason FROM attempt"
        " WHERE budget = ? AND state = 'unknown' ORDER BY id",
        (budget,),
    )
    return [UnknownAttempt(r[0], r[1], Units(*r[2:5]), r[5], r[6] or "no reason recorded") for r in rows]


def unreadable(connection: Connection, budget: int) -> Unreadable:
    """Return the answers of a budget (not of those below it) that were paid for and could not be read."""
    row = connection.execute(
        "SELECT count(*), count(DISTINCT CASE WHEN answer.key IS NULL THEN attempt.key END)"
        " FROM attempt LEFT JOIN answer ON answer.key = attempt.key"
        " WHERE budget = ? AND state = 'posted' AND substr(reason, 1, 16) = 'MalformedAnswer:'",
        (budget,),
    ).fetchone()
    return Unreadable(*row)
