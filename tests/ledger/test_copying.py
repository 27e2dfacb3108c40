"""Copies of ledgers between a file and a server: whole, equal, and refused while anybody sends."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.cli import main
from bbquery.errors import StorageFailed, UsageError
from bbquery.ledger import batches, copying, store_files
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.units import Units
from tests.support.bookkeeping import ANSWERS, asked, remember, sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.places import Place
    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
FILE, SERVER = "file", "server"


@pytest.fixture
def places(tmp_path: Path, postgresql: Server) -> Callable[[str], Place]:
    numbers = itertools.count()
    return lambda kind: postgresql.url() if kind == SERVER else tmp_path / f"{next(numbers)}.sqlite3"


def fill(place: Place) -> None:
    """Put one of everything into a ledger: nested budgets, every outcome, every kind of answer, a finished batch."""
    with Ledger(place) as ledger:
        oracle = remember(ledger, oracle="vendor", model="m")
        project = ledger.open_budget("project", Cap(picodollars=10**15))
        run = ledger.open_budget("project/run", Cap(queries=50), project, "a photo")
        for number, answer in enumerate(ANSWERS):
            sent(ledger, run, asked(oracle, number), answer=answer, served="v1")
        sent(ledger, run, asked(oracle, 100), "unknown", reason="timed out after \N{GREEK SMALL LETTER TAU}")
        sent(ledger, project, asked(oracle, 101), "voided")

        def batch(c: Any) -> None:
            record = batches.BatchRecord(batches.begin(c, "ours", run, oracle), "ours", run, "writing", None, 0)
            batches.end(c, record, "dropped", "voided", "empty")

        ledger._database.write(batch).result()


def rows(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    def all_of(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        selects = {
            table: f"SELECT {', '.join(names)} FROM {table} ORDER BY 1" for table, names in copying.TABLES.items()
        }
        return {table: connection.execute(select).fetchall() for table, select in selects.items()}

    with Accounts(place) as accounts:
        return accounts.read(all_of)


def copied(source: Place, target: Place) -> copying.Totals:
    with Accounts(source) as old, Accounts(target) as new:
        return copying.copy(old, new)


@pytest.mark.parametrize(("first", "second"), [(FILE, SERVER), (SERVER, FILE), (FILE, FILE)])
def test_a_copy_has_every_row_and_goes_on(places: Callable[[str], Place], first: str, second: str) -> None:
    """Budgets, attempts, answers and batches are the same to the bit, and what is sent next is numbered after them."""
    source, target = places(first), places(second)
    fill(source)

    totals = copied(source, target)

    assert rows(target) == rows(source)
    counts = {"budget": 2, "oracle": 1, "budget_oracle": 2, "attempt": 7, "answer": 5, "batch": 1, "batch_line": 0}
    assert totals.rows == counts
    with Accounts(target) as accounts:
        assert accounts.read(store_files.verify_store).bad == 0
    with Ledger(target) as ledger:
        more = sent(ledger, ledger.open_budget("another", Cap()), asked("vendor", 7), "voided")
        assert (more, ledger.budget(2).held.queries) == (8, 1)


def test_nothing_is_copied_while_somebody_sends(places: Callable[[str], Place]) -> None:
    """A ledger that a run has open would be spent from after the copy: whichever end it is, it is refused."""
    source, target = places(FILE), places(SERVER)
    fill(source)
    with Ledger(source), pytest.raises(UsageError, match=r"1 other process has the ledger .* open: end it first"):
        copied(source, target)
    with Ledger(target), pytest.raises(UsageError, match=r"has the ledger postgresql://.* open"):
        copied(source, target)

    assert copied(source, target).rows["attempt"] == 7


def test_two_ledgers_are_not_mixed(places: Callable[[str], Place]) -> None:
    """A target that holds anything is refused, and so is a source that holds nothing."""
    source, target = places(FILE), places(SERVER)
    fill(source)
    with pytest.raises(UsageError, match="is empty: there is nothing to copy"):
        copied(target, source)
    copied(source, target)

    with pytest.raises(UsageError, match="is not empty: copy into a new one"):
        copied(source, target)


def test_a_batch_under_way_is_finished_first(places: Callable[[str], Place]) -> None:
    """Its file lies on this machine, beside the ledger: it would not find its way."""
    source = places(FILE)
    fill(source)
    with Ledger(source) as ledger:
        ledger._database.write(lambda c: batches.begin(c, "under way", 2, "vendor")).result()

    with pytest.raises(UsageError, match="is under way: collect it first"):
        copied(source, places(SERVER))


@pytest.mark.parametrize("second", [FILE, SERVER])
def test_a_copy_that_differs_is_undone(
    places: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """Where the totals at the end are not those of the beginning, nothing was copied, and it can be tried again."""
    source, target = places(FILE), places(second)
    fill(source)
    with monkeypatch.context() as patch:
        patch.setattr(Accounts, "fill", lambda *_: None)  # as if all had been forgotten
        with pytest.raises(StorageFailed, match="nothing was copied"):
            copied(source, target)

    assert not any(len(found) for found in rows(target).values())
    copied(source, target)
    assert rows(target) == rows(source)


def test_the_command_copies_and_says_where_to_go_on(
    places: Callable[[str], Place], capsys: pytest.CaptureFixture[str]
) -> None:
    """A person is told what was copied, and that the other ledger is to be left."""
    source, target = places(FILE), places(SERVER)
    fill(source)

    assert main(["ledger", "copy", str(source), str(target)]) == 0

    said = capsys.readouterr().out
    assert "copied 2 budgets, 7 attempts, 5 answers, 1 oracle: the totals agree" in said
    assert "from now on, with --ledger or BBQUERY_LEDGER" in said
    assert main(["budget", "show", "--json", "--ledger", str(target)]) == 0
    assert '"project/run"' in capsys.readouterr().out
    assert main(["ledger", "copy", str(source) + "x", str(target)]) != 0
    assert "there is no ledger" in capsys.readouterr().err


def test_an_amount_beyond_what_a_float_holds_is_copied(places: Callable[[str], Place]) -> None:
    """Nothing is rounded on the way, whatever its size."""
    source, target = places(FILE), places(SERVER)
    cost = Units(1, 0, 2**53 + 1)
    with Ledger(source) as ledger:
        oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(picodollars=9 * 10**18))
        for number in range(3):
            sent(ledger, budget, asked(oracle, number), hold=cost, cost=cost)

    totals = copied(source, target)

    assert 3 * (2**53 + 1) in totals.sums["budget"]
    assert rows(target) == rows(source)
