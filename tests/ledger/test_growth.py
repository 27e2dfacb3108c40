"""A ledger that has grown: what is asked of it often takes as long as when it was small."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.ledger import pruning, reports, statements
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from tests.support.bookkeeping import asked, remember, sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ATTEMPT = (
    "INSERT INTO attempt (key, budget, owner, oracle, free, state, hold_queries, hold_tokens, hold_picodollars, opened)"
    " VALUES (?, 1, 'somebody', 'vendor', 0, 'posted', 1, 0, 0, '2026-01-02T03:04:05.678+00:00')"
)
RUN = "explain-0123456789abcdef"


def grown(path: Path, *, attempts: int, budgets: int) -> sqlite3.Connection:
    """Return a ledger with a run, one attempt in it unknown, and so many attempts and other budgets more."""
    with Ledger(path) as ledger:
        run = ledger.open_budget(RUN, Cap())
        sent(ledger, run, asked(remember(ledger, oracle="vendor"), 0), "unknown")
    connection = sqlite3.connect(path)
    connection.executemany(ATTEMPT, ((b"key %d" % number,) for number in range(attempts)))
    connection.executemany("INSERT INTO budget (name) VALUES (?)", ((f"b{number}",) for number in range(budgets)))
    connection.commit()
    return connection


def steps(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> int:
    """Return how many instructions the database takes for it, a dozen more or less."""
    count = 0

    def ticked() -> None:
        nonlocal count
        count += 1

    connection.set_progress_handler(ticked, 4)
    work(connection)
    connection.set_progress_handler(None, 4)
    return 4 * count


@pytest.mark.parametrize(
    "work",
    [
        reports.budgets,
        lambda c: list(reports.attempts(c, None, "unknown")),
        statements.owners_in_flight,
        lambda c: statements.bury(c, "somebody else"),
        lambda c: pruning.prunable(c, "2020-01-01", empty=False),
    ],
    ids=["budgets", "unknowns", "owners", "bury", "prunable"],
)
def test_it_does_not_depend_on_how_much_was_sent(work: Callable[[sqlite3.Connection], Any], tmp_path: Path) -> None:
    """A list of budgets or of unknowns, and opening a ledger, read no more where a thousand more were asked."""
    with (
        closing(grown(tmp_path / "small", attempts=0, budgets=3)) as small,
        closing(grown(tmp_path / "large", attempts=1000, budgets=3)) as large,
    ):
        assert steps(large, work) < steps(small, work) + 100


def test_a_budget_is_found_among_any_number(tmp_path: Path) -> None:
    """A name is looked up, not searched for, also where there is none: an audit of many photos has budgets for each."""
    with closing(grown(tmp_path / "large", attempts=0, budgets=1000)) as large:
        assert steps(large, lambda c: statements.find_budget(c, "b500")) < 100
        assert steps(large, lambda c: statements.budget_named(c, "b500")) < 100
        assert steps(large, lambda c: statements.budget_named(c, "none")) < 100


def test_removing_a_run_reads_what_it_sent_only(tmp_path: Path) -> None:
    """Pruning takes out one empty run beside a thousand attempts of others without reading those."""

    def prune(connection: sqlite3.Connection) -> None:
        branches = reports.budgets(connection)
        pruning.prune(connection, [branch for branch in branches if branch.state.name == "b2"])

    with (
        closing(grown(tmp_path / "small", attempts=0, budgets=3)) as small,
        closing(grown(tmp_path / "large", attempts=1000, budgets=3)) as large,
    ):
        assert steps(large, prune) < steps(small, prune) + 100
