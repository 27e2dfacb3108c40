"""An audit whose ledger's server crashes amid photos and comes back: it goes on, and nothing is paid twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.ledger import Ledger
from tests.support.fleet_audits import same, spent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.audit.row import Row
    from bbquery.ledger.records import BudgetState
    from tests.support.fleet import Fleet
    from tests.support.fleet_audits import Audit
    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
APART = 30  # queries from one crash to the next; the audit asks 100


@pytest.fixture
async def expected(audit: Audit, tmp_path: Path) -> list[Row]:
    """The rows of the same audit on one machine, with a ledger in a file."""
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        rows, _ = await replace(audit, folder=tmp_path / "expected").run(alone)
    return rows


def _crashing(audit: Audit, server: Server) -> None:
    """Let the server crash amid photos, and come back, again and again."""

    def crash() -> None:
        server.stop("immediate")
        server.start()
        audit.model.when_billed(APART, crash)

    audit.model.when_billed(APART, crash)


def _agrees(audit: Audit, rows: Sequence[Row], expected: Sequence[Row], state: BudgetState) -> None:
    """Check that the rows are those of a run without crashes, and that the vendor counts as many queries again."""
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (100, 0)
    assert audit.billed == 2 * state.posted.queries


async def test_one_machine_goes_on_through_crashes(audit: Audit, expected: list[Row], postgresql: Server) -> None:
    """Every query is paid once, and recorded."""
    _crashing(audit, postgresql)

    with Ledger(postgresql.url()) as shared:
        rows, engine = await audit.run(shared)
        state = spent(shared)

    assert engine.error is None
    _agrees(audit, rows, expected, state)


async def test_a_cluster_goes_on_through_crashes(
    audit: Audit, expected: list[Row], cluster: Fleet, postgresql: Server
) -> None:
    """Each worker waits for the server, as one machine does."""
    _crashing(audit, postgresql)

    with Ledger(postgresql.url()) as shared:
        rows, engine = await audit.on(cluster, shared)
        state = spent(shared)

    assert engine.error is None
    _agrees(audit, rows, expected, state)
