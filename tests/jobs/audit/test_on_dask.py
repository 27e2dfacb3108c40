"""An audit on a real Dask cluster, with a real PostgreSQL: the same as on one machine, and nothing paid twice."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from bbquery.client.halt import Interrupted
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from tests.support.fleet import fleet
from tests.support.fleet_audits import CAP, Stopping, same, spent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleet import Fleet
    from tests.support.fleet_audits import Audit
    from tests.support.postgresql import Server

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
pytestmark = pytest.mark.slow
IN_FLIGHT = 8  # queries: two workers, each of four


async def test_two_workers_do_what_one_machine_does(
    audit: Audit, cluster: Fleet, postgresql: Server, tmp_path: Path
) -> None:
    """Rows and maps are the same to the bit, and what the vendor counts is what the ledger has posted."""
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        expected, _ = await audit.run(alone)
    before = audit.billed

    with Ledger(postgresql.url()) as shared:
        rows, engine = await audit.on(cluster, shared)
        state = spent(shared)

    assert engine.error is None
    assert same(rows) == same(expected)
    assert all(row.maps[0].grid for row in rows)
    assert state.posted.queries == audit.billed - before == sum(r.posted.queries for r in expected)


async def test_a_worker_killed_amid_a_photo_is_paid_once_but_for_named_unknowns(
    audit: Audit, cluster: Fleet, postgresql: Server
) -> None:
    """The other worker ends its photo; the vendor counts no more than the answers and the unknowns, within the cap."""
    audit.model.when_billed(30, cluster.workers[0].kill)

    with Ledger(postgresql.url()) as shared:
        rows, engine = await audit.on(cluster, shared)
        state = spent(shared)

    assert await cluster.workers[0].wait() == -signal.SIGKILL
    assert engine.error is None
    assert [row.status for row in rows] == ["complete"] * 4
    assert state.held.queries == sum(row.held.queries for row in rows)
    assert 0 <= audit.billed - state.posted.queries <= state.held.queries
    assert audit.billed <= CAP


async def test_a_person_who_stops_it_pays_only_the_rest_later(audit: Audit, tmp_path: Path, postgresql: Server) -> None:
    """The workers send no more and give back what they have; the same again ends it, and nothing is paid twice."""
    audit.watch = stopping = Stopping()

    async with fleet(tmp_path) as cluster:

        async def says_stop(number: int) -> None:
            if number == 40:  # amid the second photo
                stopping.stop()
            if number >= 40:
                await cluster.told_to_stop()

        audit.model.work = says_stop
        await cluster.start(1, threads=1)
        with Ledger(postgresql.url()) as shared:
            rows, engine = await audit.on(cluster, shared)
            audit.watch = Watch()
            again, ended = await audit.on(cluster, shared)
            state = spent(shared)

    assert isinstance(engine.error, Interrupted)
    assert [row.status for row in rows] == ["complete", "partial"]
    assert ended.error is None
    assert {row.photo for row in again} == {"p01", "p02", "p03"}
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0)


async def test_who_stops_it_twice_waits_for_nothing(audit: Audit, cluster: Fleet, postgresql: Server) -> None:
    """Workers give up what they have in flight, which stays held; nothing runs on, and the same again ends it."""
    audit.watch = stopping = Stopping()
    goes_on, said = asyncio.Event(), asyncio.Event()

    async def hangs(number: int) -> None:
        if not said.is_set():
            said.set()
            stopping.stop()
            stopping.abandon()
        await goes_on.wait()

    audit.model.work = hangs
    with Ledger(postgresql.url()) as shared:
        _, engine = await audit.on(cluster, shared)
        left, unknown = await cluster.at_work(), spent(shared)
        goes_on.set()
        audit.watch = Watch()
        rows, ended = await audit.on(cluster, shared)
        state = spent(shared)

    assert isinstance(engine.error, Interrupted)
    assert left == 0
    assert 0 < unknown.held.queries <= IN_FLIGHT
    assert ended.error is None
    assert [row.status for row in rows] == ["complete"] * 4
    assert state.held == unknown.held
    assert 0 <= audit.billed - state.posted.queries <= state.held.queries
    assert audit.billed <= CAP
