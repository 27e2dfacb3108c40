"""Batches in the ledger: each state follows from the one before, once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bbquery.errors import BudgetExhausted, StorageFailed
from bbquery.ledger import batches
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.batches import BatchRecord
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Answered, Busy, Cap, Granted, HoldRequest
from bbquery.units import Units
from tests.support.bookkeeping import asked, remember, sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from bbquery.errors import Outcome
    from bbquery.ledger.connection import Connection

    T = TypeVar("T")

ONE = Units(1, 0, 5)


@pytest.fixture
def oracle(ledger: Ledger) -> str:
    return remember(ledger, oracle="vendor")


@pytest.fixture
def budget(ledger: Ledger) -> int:
    return ledger.open_budget("run", Cap(queries=3), ledger.open_budget("project", Cap(queries=10)))


@pytest.fixture
def batch(ledger: Ledger, budget: int, oracle: str) -> BatchRecord:
    number = write(ledger, lambda c: batches.begin(c, "ours", budget, oracle))
    return BatchRecord(number, "ours", budget, "writing", None, 0)


def write(ledger: Ledger, work: Callable[[Connection], T]) -> T:
    async def written() -> T:
        return await ledger.write(work)

    return asyncio.run(written())


def reserve(ledger: Ledger, batch: BatchRecord, oracle: str, *numbers: int) -> list[object]:
    requests = [HoldRequest(asked(oracle, number), batch.budget, ONE) for number in numbers]
    return list(write(ledger, lambda c: batches.reserve(c, batch, requests)))


def test_lines_are_held_all_the_way_up_and_remember_what_they_ask(
    ledger: Ledger, batch: BatchRecord, oracle: str
) -> None:
    """A line holds in the run and its project, and whoever collects it needs no image to store its answer."""
    granted = reserve(ledger, batch, oracle, 1, 2)

    lines = ledger.read(lambda c: batches.open_lines(c, batch))
    assert [type(result) for result in granted] == [Granted, Granted]
    assert [line.question for line in lines.values()] == [asked(oracle, 1), asked(oracle, 2)]
    assert [line.hold for line in lines.values()] == [ONE, ONE]
    assert ledger.budget(1).held == ledger.budget(2).held == ONE.times(2)
    assert ledger.read(lambda c: batches.unfinished(c, batch.budget)) == [replace(batch, lines=2)]


def test_what_is_answered_in_flight_or_too_much_is_no_line(ledger: Ledger, batch: BatchRecord, oracle: str) -> None:
    """Only what is granted is in the batch; the rest is told as to any other caller."""
    sent(ledger, batch.budget, asked(oracle, 1), hold=ONE, cost=ONE)
    sent(ledger, batch.budget, asked(oracle, 2), None, hold=ONE)

    results = reserve(ledger, batch, oracle, 1, 2, 3, 4)

    assert [type(result) for result in results] == [Answered, Busy, Granted, BudgetExhausted]
    assert len(ledger.read(lambda c: batches.open_lines(c, batch))) == 1


def test_of_two_that_saw_the_same_state_one_moves_it(ledger: Ledger, batch: BatchRecord) -> None:
    """The second is told that somebody else works on the batch, and does nothing."""
    write(ledger, lambda c: batches.advance(c, batch, "written"))

    with pytest.raises(StorageFailed, match="batch ours is no longer writing: another process works on it"):
        write(ledger, lambda c: batches.advance(c, batch, "written"))


def test_no_batch_is_submitted_without_the_vendors_name(ledger: Ledger, batch: BatchRecord) -> None:
    """A batch that nobody can ask for is not recorded as submitted."""
    with pytest.raises(StorageFailed, match=r"(?i)check"):
        write(ledger, lambda c: batches.advance(c, batch, "submitted"))


@pytest.mark.parametrize(("outcome", "held"), [("voided", 0), ("unknown", 2)])
def test_a_batch_ends_with_its_last_attempts(
    ledger: Ledger, batch: BatchRecord, oracle: str, outcome: Outcome, held: int
) -> None:
    """Ending it settles what is open in the same commit, and it is unfinished no more."""
    reserve(ledger, batch, oracle, 1, 2)

    left = write(ledger, lambda c: batches.end(c, batch, "dropped", outcome, "why"))

    assert left == 2
    assert ledger.budget(batch.budget).held.queries == held
    assert ledger.read(lambda c: batches.unfinished(c, batch.budget)) == []
    assert ledger.read(lambda c: batches.finished(c, ["ours", "theirs"])) == {"ours"}


def test_a_batch_without_a_line_ends_too(ledger: Ledger, batch: BatchRecord) -> None:
    """There is nothing to settle, and nothing fails."""
    assert write(ledger, lambda c: batches.end(c, batch, "dropped", "voided", "why")) == 0


def test_who_asks_what_is_known(ledger: Ledger, batch: BatchRecord, oracle: str) -> None:
    """A key in flight names its owner: a batch by its name, a process by its own."""
    reserve(ledger, batch, oracle, 1)
    sent(ledger, batch.budget, asked(oracle, 2), None, hold=ONE)
    keys = [asked(oracle, number).key for number in (1, 2, 3)]

    owners = ledger.read(lambda c: batches.owners_of(c, keys))

    assert owners[keys[0]] == "batch:ours"
    assert owners[keys[1]] != "batch:ours"
    assert keys[2] not in owners


def test_opening_the_books_leaves_batches_in_flight(ledger: Ledger, batch: BatchRecord, oracle: str) -> None:
    """A reader of the ledger buries dead processes, and no batch."""
    reserve(ledger, batch, oracle, 1)

    with Accounts(ledger.place):
        assert ledger.unknowns(batch.budget) == []
    assert len(ledger.read(lambda c: batches.open_lines(c, batch))) == 1


def test_a_failed_piece_leaves_nothing(ledger: Ledger, batch: BatchRecord, oracle: str) -> None:
    """What raises within a transaction is undone as a whole."""

    def fail(connection: Connection) -> None:
        batches.reserve(connection, batch, [HoldRequest(asked(oracle, 1), batch.budget, ONE)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(ledger, fail)

    assert ledger.budget(batch.budget).held == Units()


def test_a_ledger_from_before_batches_takes_them(tmp_path: Path) -> None:
    """An upgrade brings the tables; what was in flight then belongs to no batch and is buried as ever."""
    import importlib.resources

    folder = importlib.resources.files("bbquery.ledger") / "migrations"
    steps = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    before = [step for step in steps if step.name < "0007"]
    path = tmp_path / "l.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("".join(step.read_text() for step in before) + f"PRAGMA user_version = {len(before)}")
        connection.execute("INSERT INTO budget (id, name, held_queries) VALUES (1, 'run', 1)")
        connection.execute(
            "INSERT INTO attempt (id, key, budget, owner, oracle, free, state, hold_queries, hold_tokens,"
            " hold_picodollars, opened) VALUES (1, x'00', 1, 'dead', 'o', 0, 'open', 1, 0, 0, '')"
        )

    with Ledger(path) as ledger:
        number = write(ledger, lambda c: batches.begin(c, "ours", 1, "o"))
        assert [unknown.attempt for unknown in ledger.unknowns(1)] == [1]
        assert [found.id for found in ledger.read(lambda c: batches.unfinished(c, 1))] == [number]
