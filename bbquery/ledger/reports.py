"""Reports from the ledger: budgets as a tree, spending by oracle, model, run and day, and every attempt.

Each is a function of a connection that only reads. Amounts are integers; nothing is rounded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from bbquery.ledger import statements
from bbquery.units import Units

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping, Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.records import BudgetState

By: TypeAlias = Literal["oracle", "model", "run", "day"]
State: TypeAlias = Literal["open", "posted", "voided", "unknown"]

PATH_SEPARATOR = " > "
SETTLED = "reconciled as "
"""What a reason says of an attempt that was settled later."""

# Every budget, with the names above it and whether it is :top or lies in it; a :top of NULL stands for the whole.
BRANCHES = f"""
WITH RECURSIVE branch (id, path, depth, inside) AS (
    SELECT id, name, 0, CAST(:top AS BIGINT) IS NULL OR id = :top FROM budget WHERE parent IS NULL
    UNION ALL
    SELECT budget.id, path || '{PATH_SEPARATOR}' || name, depth + 1, inside OR budget.id = :top
    FROM budget JOIN branch ON budget.parent = branch.id
)
"""  # noqa: S608 - the separator is a constant
_PATHS = BRANCHES + "SELECT id, path, depth FROM branch WHERE inside ORDER BY depth, id"  # noqa: S608 - as above


@dataclass(frozen=True)
class Branch:
    """A budget in the tree. depth: how many budgets it lies in. inside: the one right above it, None at the top.

    about: its image, empty where that is not known. used: when something was last sent in it or within, or else when it
    was made; empty where neither is known. oracles: whom it asked, itself or within.
    """

    state: BudgetState
    depth: int
    inside: str | None
    about: str = ""
    used: str = ""
    oracles: tuple[str, ...] = ()


def budgets(connection: Connection, top: int | None = None) -> list[Branch]:
    """Return the budget `top` and those within, or all, depth first: what lies in a budget follows it."""
    depths = {number: depth for number, _, depth in connection.execute(_PATHS, {"top": top})}
    known = {number: each for number, *each in connection.execute("SELECT id, parent, name, about, opened FROM budget")}
    states = statements.states(connection)
    used, asked = _uses(connection, {number: parent for number, (parent, *_) in known.items()})
    within = children(connection)
    branches = []
    for budget in depth_first(within[None] if top is None else [top], within):
        parent, _, about, opened = known[budget]
        inside = None if parent is None else known[parent][1]
        when, whom = used.get(budget, opened or ""), tuple(sorted(asked.get(budget, ())))
        branches.append(Branch(states[budget], depths[budget], inside, about or "", when, whom))
    return branches


def children(connection: Connection) -> dict[int | None, list[int]]:
    """Return the budgets right within each that has any, oldest first; at None those within no other."""
    within: dict[int | None, list[int]] = {None: []}
    for budget, parent in connection.execute("SELECT id, parent FROM budget ORDER BY id"):
        within.setdefault(parent, []).append(budget)
    return within


def depth_first(tops: Sequence[int], within: Mapping[int | None, Sequence[int]]) -> Iterator[int]:
    """Yield these budgets and all that lie in them, what lies in one right after it. within: as of `children`."""
    waiting = list(tops)[::-1]
    while waiting:
        yield (budget := waiting.pop())
        waiting += within.get(budget, ())[::-1]


def _uses(connection: Connection, parents: dict[int, int | None]) -> tuple[dict[int, str], dict[int, set[str]]]:
    """Return when something was last sent in each budget or within, and by name whom it asked."""
    names = {fingerprint: oracle.name for fingerprint, oracle in oracles(connection).items()}
    used: dict[int, str] = {}
    asked: dict[int, set[str]] = {}
    for budget, fingerprint, when in connection.execute("SELECT budget, oracle, used FROM budget_oracle"):
        level: int | None = budget
        while level is not None:
            used[level] = max(used.get(level, ""), when)
            asked.setdefault(level, set()).add(names.get(fingerprint, fingerprint[:SHORTEST_FINGERPRINT]))
            level = parents[level]
    return used, asked


def paths(connection: Connection, top: int | None = None) -> dict[int, str]:
    """Return the path of the budget `top` and of those within, or of all, by id; what lies in one follows it."""
    return {number: path for number, path, _ in connection.execute(_PATHS, {"top": top})}


@dataclass(frozen=True)
class KnownOracle:
    """An oracle that was asked once.

    name: for people, from its identity. model: what a bill is by: its feature, model or else `name`. server: the
    address where it was asked, as `server_of` gives it; "" where its identity names none.
    """

    fingerprint: str
    name: str
    model: str
    server: str = ""

    @property
    def rehearsed(self) -> bool:
        """Whether it ran on this machine, as the servers to rehearse with do, so no vendor knows of it."""
        return on_this_machine(self.server)

    def is_called(self, name: str) -> bool:
        """Whether a person means it by this name: its name, its model or the start of its fingerprint."""
        return name in (self.name, self.model, *self.name.split()) or (
            len(name) >= SHORTEST_FINGERPRINT and self.fingerprint.startswith(name.lower())
        )


LOOPBACK = re.compile(r"(127\.[0-9.]+|\[::1\])(:[0-9]+)?")
SHORTEST_FINGERPRINT = 8  # hex digits that a person types or reads of the 32


def oracles(connection: Connection) -> dict[str, KnownOracle]:
    """Return every oracle whose identity is known, by fingerprint."""
    rows = connection.execute("SELECT fingerprint, CAST(identity AS BLOB) FROM oracle ORDER BY fingerprint")
    return {fingerprint: known_oracle(fingerprint, _identity(identity)) for fingerprint, identity in rows}


def _identity(text: bytes) -> dict[str, Any]:
    """Return a stored identity; one that is damaged says nothing, and its oracle goes by its fingerprint."""
    try:
        identity = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return identity if isinstance(identity, dict) else {}


def known_oracle(fingerprint: str, identity: dict[str, Any]) -> KnownOracle:
    """Return how an oracle is called, from what its identity says of its kind and its model."""
    said = {part: _short(str(value)) for part, value in identity.items() if value}
    name = " ".join(said[part] for part in ("oracle", "model", "feature", "function", "url") if part in said)
    billed = said.get("feature") or said.get("model") or name or fingerprint
    server = next((server_of(said[place]) for place in ("url", "base_url", "endpoint") if place in said), "")
    return KnownOracle(fingerprint, name or fingerprint, billed, server)


def server_of(url: str) -> str:
    """Return the address in a URL, or in what is one already: "127.0.0.1:8000", also where it says localhost."""
    address = url.partition("://")[2] or url
    return re.sub("^localhost(?=:|$)", "127.0.0.1", re.split("[/?#]", address, maxsplit=1)[0].lower())


def on_this_machine(server: str) -> bool:
    """Whether an address, as `server_of` gives it, is this machine's own."""
    return LOOPBACK.fullmatch(server) is not None


def _short(value: str) -> str:
    """Return what people read: of the hash of a file, its first digits."""
    return value[:SHORTEST_FINGERPRINT] if re.fullmatch("[0-9a-f]{32,}", value) else value


@dataclass(frozen=True)
class Spending:
    """Attempts of one oracle, model, run or day. posted, voided, unknown, open: how many ended so, or not yet.

    cost: what the posted ones cost. held: what the unknown and the open ones hold.
    """

    label: str
    posted: int
    voided: int
    unknown: int
    open: int
    cost: Units
    held: Units

    def plus(self, other: Spending) -> Spending:
        """Return both together, under this one's label."""
        return Spending(
            self.label,
            self.posted + other.posted,
            self.voided + other.voided,
            self.unknown + other.unknown,
            self.open + other.open,
            self.cost.plus(other.cost),
            self.held.plus(other.held),
        )


def _sum(what: str, states: str) -> str:
    return ", ".join(f"coalesce(sum({what}_{u}) FILTER (WHERE state IN ({states})), 0)" for u in statements.UNITS)


_COUNTS = ", ".join(f"count(*) FILTER (WHERE state = '{s}')" for s in ("posted", "voided", "unknown", "open"))
_SPENDING = f"""
SELECT attempt.oracle, path, substr(opened, 1, 10) AS day, {_COUNTS},
       {_sum("cost", "'posted'")}, {_sum("hold", "'unknown', 'open'")}
FROM attempt JOIN branch ON branch.id = attempt.budget AND inside
GROUP BY attempt.oracle, path, day
"""  # noqa: S608 - joined from constant names


def spending(connection: Connection, by: By, top: int | None = None) -> list[Spending]:
    """Return what the attempts of the budget `top` and those within, or all, cost and hold, by label in its order.

    run: the budget that an attempt was sent in, with those above it. day: when it was sent, in UTC.
    """
    known = oracles(connection)
    found: dict[str, Spending] = {}
    for fingerprint, path, day, *rest in connection.execute(BRANCHES + _SPENDING, {"top": top}):
        oracle = known.get(fingerprint) or known_oracle(fingerprint, {})
        labels = {"oracle": f"{oracle.name} {fingerprint[:8]}", "model": oracle.model, "run": path, "day": day}
        posted, voided, unknown, in_flight, *amounts = rest
        cost, held = Units(*amounts[:3]), Units(*amounts[3:])
        row = Spending(labels[by], posted, voided, unknown, in_flight, cost, held)
        found[row.label] = found[row.label].plus(row) if row.label in found else row
    return [found[label] for label in sorted(found)]


@dataclass(frozen=True)
class Attempt:
    """One send. budget: its path. cost: what it came to; None while that is not known."""

    id: int
    key: bytes
    budget: str
    oracle: KnownOracle
    state: State
    reason: str
    hold: Units
    cost: Units | None
    opened: str
    closed: str

    @property
    def assumed(self) -> bool:
        """Whether its cost is only taken to be its worst case: its answer was billed, and could not be read."""
        return is_assumed(self.state, self.reason, self.hold, self.cost)


def is_assumed(state: str, reason: str, hold: Units, cost: Units | None) -> bool:
    """Whether an attempt was billed, and is posted at its worst case since its answer could not be read."""
    unread = reason.startswith("MalformedAnswer:") and SETTLED not in reason
    return state == "posted" and unread and cost == hold


_ATTEMPTS = f"""{BRANCHES}
SELECT attempt.id, key, path, attempt.oracle, state, reason, hold_queries, hold_tokens, hold_picodollars,
       cost_queries, cost_tokens, cost_picodollars, opened, closed
FROM attempt JOIN branch ON branch.id = attempt.budget AND inside
WHERE {{condition}} ORDER BY {{order}}
"""  # noqa: S608 - joined from constants
_IN_STATE = {None: "true", **{state: f"state = '{state}'" for state in get_args(State)}}
_IN_ORDER = {"unknown": "+attempt.id"}  # few of many: found by their own index, then sorted; all others as they lie


def attempts(connection: Connection, top: int | None = None, state: State | None = None) -> Iterator[Attempt]:
    """Yield the attempts of the budget `top` and those within, or all, in the order they were sent.

    state: only those. One at a time: a ledger of millions needs no more memory than one of ten.
    """
    known = oracles(connection)
    statement = _ATTEMPTS.format(condition=_IN_STATE[state], order=_IN_ORDER.get(state or "", "attempt.id"))
    for row in connection.execute(statement, {"top": top}):
        number, key, path, fingerprint, its_state, reason, *amounts, opened, closed = row
        oracle = known.get(fingerprint) or known_oracle(fingerprint, {})
        cost = Units(*amounts[3:]) if its_state in ("posted", "voided") else None
        hold = Units(*amounts[:3])
        yield Attempt(number, key, path, oracle, its_state, reason or "", hold, cost, opened, closed or "")


_DOUBTFUL = """
SELECT id FROM attempt WHERE julianday(opened) > julianday(:now) + :slack
UNION
SELECT id FROM (
    SELECT id, julianday(opened) AS time,
           max(julianday(opened)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
           min(julianday(opened)) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS after
    FROM attempt WHERE julianday(opened) <= julianday(:now) + :slack
) AS seen WHERE time < before - :slack OR time > after + :slack
"""
SLACK = 5 / (24 * 60)  # days; clocks are set right by seconds all the time, and windows of reports are hours


def doubtful(connection: Connection, now: datetime.datetime) -> set[int]:
    """Return the attempts whose recorded time cannot be right: this machine's clock was moved around them.

    Attempts are numbered as they are sent, so one that is earlier than one before it, or later than one after it or
    than `now`, was recorded by a clock that was wrong, or the other one was.
    """
    rows = connection.execute(_DOUBTFUL, {"now": now.isoformat(), "slack": SLACK})
    return {number for (number,) in rows}
