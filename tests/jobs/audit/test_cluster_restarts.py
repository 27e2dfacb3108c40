"""An audit whose cluster loses its scheduler or its workers amid photos: it goes on, and nothing is paid twice."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.commands import news
from bbquery.ledger.ledger import Ledger
from tests.support import deadly
from tests.support.fleet import fleet
from tests.support.fleet_audits import spent

if TYPE_CHECKING:
    from tests.support.fleet import Fleet
    from tests.support.fleet_audits import Audit
    from tests.support.postgresql import Server

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
pytestmark = pytest.mark.slow


AT_ONCE = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
"""Of a scheduler that blames whatever was on a worker that is lost."""


async def _again(cluster: Fleet) -> None:
    """Start the scheduler again, and workers in place of those that have ended, as a service manager does."""
    before = tuple(cluster.workers)
    await cluster.schedule()
    for worker in before:
        await worker.wait()
    await cluster.start(len(before), threads=1)


async def test_a_scheduler_that_is_killed_and_started_again_is_given_the_photos_again(
    audit: Audit, tmp_path: Path, postgresql: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its workers settle what they have sent before they end; the audit goes on by itself, and a person is told."""
    restarts = []

    async with fleet(tmp_path) as cluster:
        await cluster.start(1, threads=1)

        def restart() -> None:
            assert cluster.scheduler is not None
            cluster.scheduler.kill()
            restarts.append(asyncio.create_task(_again(cluster)))

        audit.model.when_billed(30, restart)
        with Ledger(postgresql.url()) as shared, news.told():
            rows, engine = await audit.on(cluster, shared)
            state = spent(shared)
        await asyncio.gather(*restarts)

    assert engine.error is None
    assert [row.status for row in rows] == ["complete"] * 4
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0)
    lost, found = [line for line in capsys.readouterr().err.splitlines() if "scheduler" in line]
    assert lost.startswith(f"bbquery: the Dask scheduler at {cluster.address} is out of reach (the connection broke): ")
    assert found == f"bbquery: the Dask scheduler at {cluster.address} is back"


async def test_a_photo_that_kills_its_workers_fails_alone(audit: Audit, tmp_path: Path, postgresql: Server) -> None:
    """Its row says why; photos that were on the same workers are asked elsewhere, and paid once."""
    kills = deadly.environment(Path(audit.photos[0].source))

    async with fleet(tmp_path, AT_ONCE) as cluster:
        await cluster.start(3, threads=1, more=kills)
        with Ledger(postgresql.url()) as shared:
            rows, engine = await audit.on(cluster, shared)
            state = spent(shared)
        lost = [worker.returncode for worker in cluster.workers]

    assert [row.status for row in rows] == ["failed", *["complete"] * 3]
    assert rows[0].why.startswith("one worker after another was lost with it: ")
    assert sorted(lost, key=str) == [-signal.SIGKILL, -signal.SIGKILL, None]
    assert engine.ended is None
    assert (state.posted.queries, state.held.queries) == (75, 0) == (audit.billed, 0)
