"""An audit whose network parts a worker from the ledger, from the scheduler, or from both, while it asks a photo."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bbquery import telemetry
from bbquery.commands import news
from bbquery.jobs.audit import cluster as fleet_cluster
from bbquery.ledger import postgres_owners
from bbquery.ledger.ledger import LAPSED, Ledger
from bbquery.units import NOTHING
from tests.support import short_lease
from tests.support.audits import MAPS
from tests.support.fleet import fleet
from tests.support.fleet_audits import same, spent
from tests.support.proxy import proxy_before, proxy_before_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.jobs.audit.engine import Engine
    from bbquery.jobs.audit.row import Row
    from tests.support.fleet import Fleet
    from tests.support.fleet_audits import Audit
    from tests.support.oracles import FakeOracle
    from tests.support.postgresql import Server
    from tests.support.proxy import Proxy

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
pytestmark = pytest.mark.slow
QUERIES = 100  # that the audit asks
AT_ONCE = 2  # of one worker; the vendor answers four at once
BEFORE = 10  # answers of the first worker to its first photo, of 25, when the network breaks
OPEN = "SELECT count(*) FROM attempt WHERE state = 'open'"
LAPSED_ONES = f"SELECT count(*) FROM attempt WHERE reason = '{LAPSED}'"
PARTS = 2 + MAPS["max_queries"]  # queries that the parts of a photo may take: the clean one twice, and a map
WORST = PARTS + 1  # that a photo may take in one run; so its cap has no room for another
MANY = 3  # at once: more than a photo may lose and be whole
CAP = 110  # queries: room for what may be lost of each photo, and little more
SECONDS_TO_ANSWER = 3.0  # for a scheduler that says nothing
LONGEST = 120  # seconds, on a machine that does much else


@pytest.fixture
async def expected(audit: Audit, tmp_path: Path) -> list[Row]:
    """The rows of the same audit on one machine, with a ledger in a file."""
    audit.at_once = AT_ONCE
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        rows, _ = await replace(audit, folder=tmp_path / "expected").run(alone)
    assert audit.billed == QUERIES
    audit.emulator.bill.images_answered = 0
    return rows


@dataclass
class Ways:
    """How a worker reaches the ledger's server: url, by whoever has `straight` or `through` in the environment."""

    url: str
    proxy: Proxy
    straight: dict[str, str]
    through: dict[str, str]


@pytest.fixture
def ways(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    """A way straight to the ledger, which this process takes, and one through a proxy."""
    before, _, after = postgresql.url().partition("host=")
    with tempfile.TemporaryDirectory() as folder, proxy_before(postgresql.socket, Path(folder)) as proxy:
        straight = {"PGHOST": str(postgresql.socket.parent)}
        monkeypatch.setenv("PGHOST", straight["PGHOST"])
        yield Ways(before + after.partition("&")[2], proxy, straight, {"PGHOST": folder})


class Vendor:
    """Keeps the questions that follow the first `BEFORE` of a worker, until a test lets them go.

    full: as many wait as that worker asks at once, so it sends no more. another: somebody else has asked since.
    """

    def __init__(self, model: FakeOracle, at_once: int = AT_ONCE) -> None:
        self.full, self.another = asyncio.Event(), asyncio.Event()
        self._first = model.requests + BEFORE
        self._go = [asyncio.Event() for _ in range(at_once)]
        model.work = self._work

    def answer(self, place: int) -> None:
        """Let one go."""
        self._go[place].set()

    async def _work(self, number: int) -> None:
        place = number - self._first
        if place == len(self._go) - 1:
            self.full.set()
        if place >= len(self._go):
            self.another.set()
        elif place >= 0:
            await self._go[place].wait()


def part(proxy: Proxy, way: str) -> None:
    """Break the network: connections are cut, or stall and nobody hears of it."""
    if way == "cut":
        proxy.cut()
    else:
        proxy.stall()


def held_and_unsent(ways: Ways, postgresql: Server, then: asyncio.Event) -> None:
    """Stall the ledger once it holds more than the vendor was asked, but does not say so; all but one is unanswered."""
    loop = asyncio.get_running_loop()

    def answered(data: bytes) -> bool:
        if b"COMMIT\0" in data and not then.is_set():
            with postgresql.connection(ways.url) as direct:
                (held,) = direct.execute(OPEN).fetchone() or (0,)
            if held == AT_ONCE:
                ways.proxy.stall()
                loop.call_soon_threadsafe(then.set)
        return False

    ways.proxy.answered = answered


async def begun(
    audit: Audit, cluster: Fleet, shared: Ledger, ways: Ways, between: Proxy
) -> asyncio.Task[tuple[list[Row], Engine]]:
    """Begin the audit on a worker that reaches both its ledger and its scheduler through proxies; return its task."""
    more = ways.through | short_lease.PRELOADED
    await cluster.start(1, threads=1, more=more, by_way_of=between.address)
    return asyncio.create_task(audit.on(cluster, shared))


async def test_a_worker_cut_off_from_the_ledger_for_a_moment_goes_on(
    audit: Audit, expected: list[Row], tmp_path: Path, ways: Ways
) -> None:
    """Its connections break amid commits, and new ones are turned away for a while: each query is paid once."""
    commits = 0

    def cut(data: bytes) -> bool:
        nonlocal commits
        commits += b"COMMIT\0" in data
        if commits in (8, 16) and b"COMMIT\0" in data:
            ways.proxy.cut(turning_away=3)
            return True
        return False

    ways.proxy.answered = cut

    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        await cluster.start(1, threads=1, more=ways.through)
        await cluster.start(1, threads=1, more=ways.straight)
        with Ledger(ways.url) as shared:
            rows, engine = await audit.on(cluster, shared)
            state = spent(shared)

    assert engine.error is None
    assert ways.proxy.lost == 2
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0) == (QUERIES, 0)


async def test_a_worker_that_is_stalled_for_longer_than_a_lease_is_taken_for_dead_and_comes_back(
    audit: Audit, expected: list[Row], tmp_path: Path, ways: Ways, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends nothing that it held before; what it was answered meanwhile is recorded, and its photos end there."""
    monkeypatch.setattr(postgres_owners, "HEARD", short_lease.HEARD)
    vendor, stalled = Vendor(audit.model), asyncio.Event()

    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        await cluster.start(1, threads=1, more=ways.through | short_lease.PRELOADED)
        with Ledger(ways.url) as shared:
            auditing = asyncio.create_task(audit.on(cluster, shared))
            await vendor.full.wait()
            held_and_unsent(ways, postgresql, stalled)
            vendor.answer(0)
            await stalled.wait()
            vendor.answer(1)
            while not await asyncio.to_thread(shared.bury_the_dead):
                continue
            unknown, asked = spent(shared).held.queries, audit.billed
            ways.proxy.mend()
            rows, engine = await auditing
            state, lapsed = spent(shared), shared.read(lambda c: c.execute(LAPSED_ONES).fetchone())

    assert engine.error is None
    assert (unknown, asked) == (AT_ONCE, BEFORE + AT_ONCE)
    assert lapsed[0] > 0
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0) == (QUERIES, 0)


@pytest.mark.parametrize("way", ["cut", "stalled"])
async def test_a_photo_whose_worker_loses_the_scheduler_is_asked_by_another_and_paid_once(
    audit: Audit, expected: list[Row], tmp_path: Path, postgresql: Server, way: str
) -> None:
    """The first worker may ask on beside it, where it hears of nothing: what one of them asks the other waits for."""
    vendor = Vendor(audit.model)

    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        with proxy_before_port(cluster.address) as proxy, Ledger(postgresql.url()) as shared:
            await cluster.start(1, threads=1, by_way_of=proxy.address)
            auditing = asyncio.create_task(audit.on(cluster, shared))
            await vendor.full.wait()
            part(proxy, way)
            await cluster.give_up()
            await cluster.start(1, threads=1)
            await vendor.another.wait()
            for place in range(AT_ONCE):
                vendor.answer(place)
            rows, engine = await auditing
            proxy.mend()
            await cluster.workers[0].wait()
            state = spent(shared)

    assert engine.error is None
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0) == (QUERIES, 0)


@pytest.mark.parametrize(("way", "why"), [("cut", "the connection broke"), ("stalled", "it does not answer")])
async def test_an_audit_that_loses_its_scheduler_gives_its_photos_again(
    audit: Audit, expected: list[Row], tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], way: str, why: str,
) -> None:  # fmt: skip
    """The worker ends what it was at, and has all of it when it is asked again; a person is told."""
    vendor, lost = Vendor(audit.model), asyncio.Event()

    def noted(event: str, *arguments: Any, **named: Any) -> None:
        telemetry.note(event, *arguments, **named)
        if event == fleet_cluster.LOST:
            lost.set()

    monkeypatch.setattr(fleet_cluster, "note", noted)
    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        with proxy_before_port(cluster.address) as proxy, Ledger(postgresql.url()) as shared, news.told():
            await cluster.start(1, threads=1)
            auditing = asyncio.create_task(audit.on(cluster, shared, by_way_of=proxy.address))
            await vendor.full.wait()
            with monkeypatch.context() as patch:
                patch.setattr(fleet_cluster, "SECONDS_TO_CONNECT", SECONDS_TO_ANSWER)
                part(proxy, way)
                await lost.wait()
            for place in range(AT_ONCE):
                vendor.answer(place)
            proxy.mend()
            rows, engine = await auditing
            state = spent(shared)

    assert engine.error is None
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0) == (QUERIES, 0)
    told, found, *_ = [line for line in capsys.readouterr().err.splitlines() if "scheduler" in line]
    assert f" is out of reach ({why}): " in told
    assert found.endswith(" is back")


@pytest.mark.parametrize("way", ["cut", "stalled"])
async def test_a_machine_that_is_parted_from_all_but_the_vendor_costs_what_it_had_in_flight(
    audit: Audit, expected: list[Row], tmp_path: Path, ways: Ways, postgresql: Server, way: str
) -> None:
    """Another asks its photo; paid twice is what is named, within the cap. Back again, it records and sends nothing."""
    audit.cap = CAP
    vendor, stalled = Vendor(audit.model), asyncio.Event()

    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        with proxy_before_port(cluster.address) as between, Ledger(ways.url) as shared:
            auditing = await begun(audit, cluster, shared, ways, between)
            await vendor.full.wait()
            held_and_unsent(ways, postgresql, stalled)
            vendor.answer(0)
            await stalled.wait()
            part(between, way)
            vendor.answer(1)
            await cluster.give_up()
            await cluster.start(1, threads=1, more=ways.straight | short_lease.PRELOADED)
            rows, engine = await auditing
            parted, billed = spent(shared), audit.billed
            ways.proxy.mend()
            while spent(shared).held.queries and cluster.workers[0].returncode is None:
                await asyncio.to_thread(spent, shared)
            between.mend()
            await cluster.workers[0].wait()
            state = spent(shared)

    assert engine.error is None
    assert [row.unknown for row in rows] == [AT_ONCE, 0, 0, 0]
    assert same([replace(rows[0], held=NOTHING, unknown=0), *rows[1:]]) == same(expected)
    assert (parted.posted.queries, parted.held.queries, billed) == (QUERIES, AT_ONCE, QUERIES + 1)
    assert billed <= CAP
    assert (state.posted.queries, state.held.queries) == (audit.billed, 0) == (QUERIES + 1, 0)


async def test_the_cap_holds_to_the_query_though_a_parted_machine_had_questions_in_flight(
    audit: Audit, expected: list[Row], tmp_path: Path, ways: Ways
) -> None:
    """What may have been billed there is held, so another asks less; under a raised cap the photo is ended."""
    audit.photos, audit.cap, audit.at_once = audit.photos[:1], WORST, MANY
    vendor = Vendor(audit.model, MANY)

    async with fleet(tmp_path) as cluster, asyncio.timeout(LONGEST):
        with proxy_before_port(cluster.address) as between, Ledger(ways.url) as shared:
            auditing = await begun(audit, cluster, shared, ways, between)
            await vendor.full.wait()
            between.stall()
            ways.proxy.stall()
            for place in range(MANY):
                vendor.answer(place)
            await cluster.give_up()
            await cluster.start(1, threads=1, more=ways.straight | short_lease.PRELOADED)
            (row,), _ = await auditing
            parted, billed = spent(shared), audit.billed
            audit.cap = CAP
            again, engine = await audit.on(cluster, shared)

    assert (row.status, row.unknown) == ("partial", MANY)
    assert (parted.posted.queries + parted.held.queries, parted.held.queries, billed) == (PARTS, MANY, PARTS)
    assert engine.error is None
    assert again[0].maps == expected[0].maps
