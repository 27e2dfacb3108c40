"""An audit on a real Dask cluster, with a real PostgreSQL: the same as on one machine, and nothing paid twice."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from bbquery import load
from bbquery.client.halt import Interrupted
from bbquery.jobs.audit.engine import Engine
from bbquery.jobs.audit.engines import executor_of
from bbquery.jobs.audit.executor import Local
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from oracles.emulators.http import HttpEmulator
from tests.support.audits import MAPS, Undrawn, photos_in, plan_of
from tests.support.fleet import fleet
from tests.support.oracles import halves_oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bbquery.client.client import Client
    from bbquery.jobs.audit.executor import Executor
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.row import Row
    from bbquery.ledger.records import BudgetState
    from tests.support.fleet import Fleet
    from tests.support.oracles import FakeOracle
    from tests.support.postgresql import Server

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
pytestmark = pytest.mark.slow

CAP = 160  # queries
CENT = "0.01"


@dataclass
class Audit:
    """A paid audit of four photos, each asked as MAPS says, on whatever machines."""

    url: str
    photos: Sequence[Photo]
    folder: Path
    watch: Watch = field(default_factory=Watch)

    @property
    def plan(self) -> Plan:
        oracle = {"name": "vendor", "oracle": f"http:url={self.url},usd_per_query={CENT}", "drift_every": 0}
        return plan_of("vendor", oracles=[oracle], explain=MAPS, caps={"max_queries": CAP})

    async def run(self, ledger: Ledger, executor: Executor | None = None) -> tuple[list[Row], Engine]:
        """Run it; return its rows by photo."""
        keeper = Undrawn(self.folder / ("alone" if executor is None else "fleet"))
        oracle = await load.oracle(self.plan.oracles[0].oracle)
        try:
            engine = Engine(self.plan, self.photos, [oracle], ledger, keeper, self.watch, executor=executor or Local())
            rows = [row async for row in engine.run()]
        finally:
            await oracle.aclose()
        return sorted(rows, key=lambda row: row.photo), engine

    async def on(self, cluster: Fleet, ledger: Ledger) -> tuple[list[Row], Engine]:
        """Run it on a cluster."""
        async with executor_of(f"dask:{cluster.address}", self.plan, ledger, Undrawn) as executor:
            return await self.run(ledger, executor)


@pytest.fixture
def model() -> FakeOracle:
    return halves_oracle(side=8)


@pytest.fixture
async def audit(model: FakeOracle, tmp_path: Path) -> AsyncIterator[tuple[Audit, HttpEmulator]]:
    emulator = HttpEmulator(model, usd_per_image=CENT)
    async with emulator.running() as url:
        yield Audit(url, photos_in(tmp_path / "photos", 4), tmp_path), emulator


class Stopping(Watch):
    """Stops whoever asks."""

    def __init__(self) -> None:
        self._clients: list[Client] = []

    def started(self, client: Client, queries: int, rows: int) -> None:
        self._clients.append(client)

    def stop(self) -> None:
        for client in self._clients:
            client.halt.set(Interrupted("a person stopped it"))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path) as found:
        await found.start(2, threads=1)
        yield found


def _same(rows: Sequence[Row]) -> list[Row]:
    """Return rows without what may differ from run to run."""
    return [replace(row, seconds=0.0, queries=0, from_store=0) for row in rows]


def _posted(ledger: Ledger) -> BudgetState:
    return ledger.budget(ledger.find_budget("audit-t"))


async def test_two_workers_do_what_one_machine_does(
    audit: tuple[Audit, HttpEmulator], cluster: Fleet, postgresql: Server, tmp_path: Path
) -> None:
    """Rows and maps are the same to the bit, and what the vendor counts is what the ledger has posted."""
    asked, emulator = audit
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        expected, _ = await asked.run(alone)
    before = emulator.bill.images_answered

    with Ledger(postgresql.url()) as shared:
        rows, engine = await asked.on(cluster, shared)
        state = _posted(shared)

    assert engine.error is None
    assert _same(rows) == _same(expected)
    assert all(row.maps[0].grid for row in rows)
    assert state.posted.queries == emulator.bill.images_answered - before == sum(r.posted.queries for r in expected)


async def test_a_worker_killed_amid_a_photo_is_paid_once_but_for_named_unknowns(
    audit: tuple[Audit, HttpEmulator], model: FakeOracle, cluster: Fleet, postgresql: Server
) -> None:
    """The other worker ends its photo; the vendor counts no more than the answers and the unknowns, within the cap."""
    asked, emulator = audit
    model.when_billed(30, cluster.workers[0].kill)

    with Ledger(postgresql.url()) as shared:
        rows, engine = await asked.on(cluster, shared)
        state = _posted(shared)

    assert await cluster.workers[0].wait() == -signal.SIGKILL
    assert engine.error is None
    assert [row.status for row in rows] == ["complete"] * 4
    assert state.held.queries == sum(row.held.queries for row in rows)
    assert 0 <= emulator.bill.images_answered - state.posted.queries <= state.held.queries
    assert emulator.bill.images_answered <= CAP


async def test_a_person_who_stops_it_pays_only_the_rest_later(
    audit: tuple[Audit, HttpEmulator], model: FakeOracle, tmp_path: Path, postgresql: Server
) -> None:
    """The workers send no more and give back what they have; the same again ends it, and nothing is paid twice."""
    asked, emulator = audit
    asked.watch = stopping = Stopping()
    model.when_billed(40, stopping.stop)

    async with fleet(tmp_path) as cluster:
        await cluster.start(1, threads=1)
        with Ledger(postgresql.url()) as shared:
            rows, engine = await asked.on(cluster, shared)
            asked.watch = Watch()
            again, ended = await asked.on(cluster, shared)
            state = _posted(shared)

    assert isinstance(engine.error, Interrupted)
    assert [row.status for row in rows] == ["complete", "partial"]
    assert ended.error is None
    assert {row.photo for row in again} == {"p01", "p02", "p03"}
    assert (state.posted.queries, state.held.queries) == (emulator.bill.images_answered, 0)
