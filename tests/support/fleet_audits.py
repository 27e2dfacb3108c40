"""A small paid audit that runs here or on a cluster, of a model that counts what it was asked."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.client.halt import Interrupted
from bbquery.jobs.audit.engine import Engine
from bbquery.jobs.audit.engines import executor_of
from bbquery.jobs.audit.executor import Local
from bbquery.jobs.watch import Watch
from oracles.emulators.http import HttpEmulator
from tests.support.audits import MAPS, Undrawn, photos_in, plan_of
from tests.support.oracles import halves_oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bbquery.client.client import Client
    from bbquery.jobs.audit.executor import Executor
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.row import Row
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState
    from tests.support.fleet import Fleet
    from tests.support.oracles import FakeOracle

CAP = 160  # queries
CENT = "0.01"


@dataclass
class Audit:
    """A paid audit of a few photos, each asked as MAPS says, on whatever machines.

    url: of the emulator of `model`, which answers four at once. at_once: what each process asks. cap: queries.
    """

    url: str
    model: FakeOracle
    emulator: HttpEmulator
    photos: Sequence[Photo]
    folder: Path
    watch: Watch = field(default_factory=Watch)
    at_once: int = 4
    cap: int = CAP

    @property
    def plan(self) -> Plan:
        how = f"usd_per_query={CENT},concurrency={self.at_once}"
        oracle = {"name": "vendor", "oracle": f"http:url={self.url},{how}", "drift_every": 0}
        return plan_of("vendor", oracles=[oracle], explain=MAPS, caps={"max_queries": self.cap})

    @property
    def billed(self) -> int:
        """Queries that the vendor has counted."""
        return self.emulator.bill.images_answered

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

    async def on(self, cluster: Fleet, ledger: Ledger, by_way_of: str = "") -> tuple[list[Row], Engine]:
        """Run it on a cluster. by_way_of: where its scheduler is found, if not at its own address."""
        async with executor_of(f"dask:{by_way_of or cluster.address}", self.plan, ledger, Undrawn) as executor:
            return await self.run(ledger, executor)


@contextlib.asynccontextmanager
async def audited(folder: Path, photos: int = 4) -> AsyncIterator[Audit]:
    """Serve a model, and give an audit of it."""
    model = halves_oracle(side=8)
    emulator = HttpEmulator(model, usd_per_image=CENT)
    async with emulator.running() as url:
        yield Audit(url, model, emulator, photos_in(folder / "photos", photos), folder)


class Stopping(Watch):
    """Stops whoever asks."""

    def __init__(self) -> None:
        self._clients: list[Client] = []

    def started(self, client: Client, queries: int, rows: int) -> None:
        self._clients.append(client)

    def stop(self) -> None:
        for client in self._clients:
            client.halt.set(Interrupted("a person stopped it"))

    def abandon(self) -> None:
        for client in self._clients:
            client.abandon()


def same(rows: Sequence[Row]) -> list[Row]:
    """Return rows without what may differ from run to run."""
    return [replace(row, seconds=0.0, queries=0, from_store=0) for row in rows]


def spent(ledger: Ledger) -> BudgetState:
    """Return the state of the audit's budget."""
    return ledger.budget(ledger.find_budget("audit-t"))
