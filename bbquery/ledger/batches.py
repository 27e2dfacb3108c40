"""Batches in the ledger: the questions of each file, and the state that the file has reached.

    writing -> written -> submitting -> submitted -> collected
       `---------`------------`------------`-------> dropped

Invariants.

1. A question is held before its line is written, and its attempt belongs to exactly one batch.
2. A batch is moved from one state to the next only by whoever finds it in the former (compare and set, one commit), so
   of two processes that both want to submit it only one does.
3. Until it is `submitting`, nothing of a batch has left: it may be dropped, and all its attempts are void. From then on
   only the vendor's word drops it.
4. A batch is collected or dropped in the commit that closes its last attempts, so open attempts of the owner
   'batch:NAME' always belong to a batch that is still to be collected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bbquery.errors import StorageFailed
from bbquery.ledger import statements
from bbquery.ledger.owners import batch_owner
from bbquery.ledger.records import Granted, Settlement
from bbquery.ledger.rows import parts, with_rows
from bbquery.ledger.store import ImageQuestion
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.errors import BudgetExhausted, Outcome
    from bbquery.ledger.connection import Connection
    from bbquery.ledger.records import Answered, Busy, HoldRequest

State: TypeAlias = Literal["writing", "written", "submitting", "submitted", "collected", "dropped"]


@dataclass(frozen=True)
class BatchRecord:
    """A batch as the last commit left it. name: ours. vendor: the vendor's name; None while that is not known.

    lines: questions in it.
    """

    id: int
    name: str
    budget: int
    state: State
    vendor: str | None
    lines: int


@dataclass(frozen=True)
class Line:
    """A question in a batch that is not settled yet, and what it holds."""

    attempt: int
    question: ImageQuestion
    hold: Units


def begin(connection: Connection, name: str, budget: int, oracle: str) -> int:
    """Make a batch of this name, to be filled with questions to the oracle of this fingerprint; return its id."""
    cursor = connection.execute(
        "INSERT INTO batch (name, budget, oracle, state, opened) VALUES (?, ?, ?, 'writing', ?)",
        (name, budget, oracle, statements.now()),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - a row was inserted
    return cursor.lastrowid


def reserve(
    connection: Connection, batch: BatchRecord, requests: Sequence[HoldRequest]
) -> list[Granted | Answered | Busy | BudgetExhausted]:
    """Hold each request's worst case as a line of this batch, or say why not; in the order given."""
    results = statements.reserve(connection, requests, batch_owner(batch.name))
    connection.executemany(
        "INSERT INTO batch_line (attempt, batch, image, sample) VALUES (?, ?, ?, ?)",
        [
            (result.attempt, batch.id, request.question.image, request.question.sample)
            for request, result in zip(requests, results, strict=True)
            if isinstance(result, Granted)
        ],
    )
    return results


def advance(connection: Connection, batch: BatchRecord, to: State, vendor: str | None = None) -> None:
    """Move a batch from the state it was seen in to another.

    Raises:
        StorageFailed: somebody else has moved it meanwhile.
    """
    moved = connection.execute(
        "UPDATE batch SET state = ?, vendor = coalesce(?, vendor) WHERE id = ? AND state = ?",
        (to, vendor, batch.id, batch.state),
    )
    if moved.rowcount != 1:
        raise StorageFailed(f"batch {batch.name} is no longer {batch.state}: another process works on it too")


def unfinished(connection: Connection, budget: int) -> list[BatchRecord]:
    """Return the batches of a budget that are neither collected nor dropped, oldest first."""
    rows = connection.execute(
        "SELECT id, name, budget, state, vendor, (SELECT count(*) FROM batch_line WHERE batch = batch.id) FROM batch"
        " WHERE budget = ? AND state NOT IN ('collected', 'dropped') ORDER BY id",
        (budget,),
    )
    return [BatchRecord(*row) for row in rows]


def finished(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return which of these batches are collected or dropped."""
    asked = "SELECT name FROM batch WHERE state IN ('collected', 'dropped') AND name IN {rows}"
    return {row[0] for part in parts(names) for row in connection.execute(with_rows(asked, 1, len(part)), part)}


def owners_of(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, str]:
    """Return who has an open attempt at which of these keys: a process or a batch."""
    asked = "SELECT owner FROM attempt WHERE key = ? AND state = 'open'"
    found = {key: connection.execute(asked, (key,)).fetchone() for key in keys}
    return {key: row[0] for key, row in found.items() if row is not None}


_OPEN_LINES = (
    "SELECT attempt.id, key, oracle, image, sample, hold_queries, hold_tokens, hold_picodollars"
    " FROM batch_line JOIN attempt ON attempt.id = batch_line.attempt WHERE batch = ? AND state = 'open'"
)


def open_lines(connection: Connection, batch: BatchRecord) -> dict[int, Line]:
    """Return the lines of a batch that are not settled yet, by attempt."""
    return _lines(connection.execute(_OPEN_LINES, (batch.id,)))


def open_lines_of(connection: Connection, batch: BatchRecord, attempts: Sequence[int]) -> dict[int, Line]:
    """Return those lines of a batch that are among these attempts and not settled yet, by attempt."""
    found: dict[int, Line] = {}
    for part in parts(attempts):
        among = with_rows(_OPEN_LINES + " AND attempt.id IN {rows}", 1, len(part))
        found |= _lines(connection.execute(among, (batch.id, *part)))
    return found


def _lines(rows: Iterable[Sequence[Any]]) -> dict[int, Line]:
    return {row[0]: Line(row[0], ImageQuestion(*row[1:5]), Units(*row[5:])) for row in rows}


def end(
    connection: Connection,
    batch: BatchRecord,
    to: Literal["collected", "dropped"],
    outcome: Outcome,
    reason: str,
) -> int:
    """Close a batch, and with this outcome those of its attempts that are still open; return how many those were.

    Raises:
        StorageFailed: somebody else has moved it meanwhile.
    """
    advance(connection, batch, to)
    connection.execute("UPDATE batch SET reason = ?, closed = ? WHERE id = ?", (reason, statements.now(), batch.id))
    left = open_lines(connection, batch)
    if left:
        statements.settle(connection, [Settlement(attempt, outcome, reason=reason) for attempt in left])
    return len(left)
