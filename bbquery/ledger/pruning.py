"""Removing old and empty runs from the list of budgets, without forgetting what was paid.

1. A run is a budget that bears its command's name and the hash of what it is. A project is none, and is never pruned.
2. What a run sent is kept: its attempts move to the budget it lay in, or to one that is named `PRUNED`, so reports by
   model and day, a vendor's report and the cost of stored answers stay as they are. No amount above it changes.
3. A run that holds anything stays: what is unknown must be settled first, what is in flight or in a batch is at work.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.ledger import reports, statements
from bbquery.ledger.records import Cap
from bbquery.ledger.rows import parts, with_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.reports import Branch

PRUNED = "pruned runs"
MOVES = (  # rows: a budget that goes, and its heir
    "UPDATE attempt SET budget = gone.column2 FROM {rows} AS gone WHERE budget = gone.column1",
    "UPDATE batch SET budget = gone.column2 FROM {rows} AS gone WHERE budget = gone.column1",
    "INSERT INTO budget_oracle (budget, oracle, used) SELECT gone.column2, oracle, max(used)"
    " FROM budget_oracle JOIN {rows} AS gone ON budget = gone.column1 GROUP BY gone.column2, oracle"
    " ON CONFLICT (budget, oracle) DO UPDATE SET used = excluded.used WHERE excluded.used > budget_oracle.used",
    "DELETE FROM budget_oracle WHERE budget IN (SELECT column1 FROM {rows} AS gone)",
)
RUN = re.compile(r"(?:explain|compare|evaluate|probe|attack|predict)-[0-9a-f]{16}")


@dataclass(frozen=True)
class Prunable:
    """Runs that may be taken out, and how many more would be but for what they hold."""

    runs: tuple[Branch, ...]
    holding: int


def prunable(connection: Connection, before: str | None, *, empty: bool) -> Prunable:
    """Return the runs that were last used before a time in UTC, or that never sent anything.

    before: None for whenever, so that only empty ones are meant. empty: only those that never sent anything.
    """
    at_work = {budget for (budget,) in connection.execute(
        "SELECT budget FROM batch WHERE state NOT IN ('collected', 'dropped')"
        " UNION SELECT budget FROM attempt WHERE state = 'open'"  # each has an index of its own
        " UNION SELECT budget FROM attempt WHERE state = 'unknown'"
    )}  # fmt: skip
    within = reports.children(connection)
    found, holding = [], 0
    for branch in reports.budgets(connection):
        if not _is_run(branch) or not _meant(branch, before, empty=empty):
            continue
        busy = any(branch.state.held.amounts) or not at_work.isdisjoint(reports.depth_first([branch.state.id], within))
        holding += busy
        found += [] if busy else [branch]
    return Prunable(tuple(found), holding)


def prune(connection: Connection, runs: Sequence[Branch]) -> None:
    """Take runs and what lies in them out of the tree, in the caller's transaction."""
    heirs = _heirs(connection, runs)
    for budgets in parts(list(heirs.items())):
        values = tuple(itertools.chain.from_iterable(budgets))
        for statement in MOVES:
            connection.execute(with_rows(statement, 2, len(budgets)), values)
    for budget in reversed(heirs):  # what lies in a budget follows it
        connection.execute("DELETE FROM budget WHERE id = ?", (budget,))


def _heirs(connection: Connection, runs: Sequence[Branch]) -> dict[int, int]:
    """Return by every budget that goes, those within right after it, the one that takes over what it sent."""
    parents = dict(connection.execute("SELECT id, parent FROM budget"))
    within = reports.children(connection)
    heirs: dict[int, int] = {}
    for run in runs:
        if run.state.id not in heirs:  # else it lies in a run that goes
            above = parents[run.state.id]
            heir = _heir(connection, run) if above is None else int(above)
            heirs |= dict.fromkeys(reports.depth_first([run.state.id], within), heir)
    return heirs


def _heir(connection: Connection, run: Branch) -> int:
    """Return the budget of pruned runs that lay in no project, once it counts this one's spending."""
    heir = statements.open_budget(connection, PRUNED, Cap(), None)
    posted = run.state.posted
    connection.execute(
        "UPDATE budget SET posted_queries = posted_queries + ?, posted_tokens = posted_tokens + ?,"
        " posted_picodollars = posted_picodollars + ? WHERE id = ?",
        (*posted.amounts, heir),
    )
    return heir


def _is_run(branch: Branch) -> bool:
    own = branch.state.name if branch.inside is None else branch.state.name.removeprefix(f"{branch.inside}/")
    return RUN.fullmatch(own) is not None


def _meant(branch: Branch, before: str | None, *, empty: bool) -> bool:
    old = before is None or branch.used < before
    return old and not (empty and branch.oracles)
