"""An audit whose network breaks between a worker and the ledger's server, or the scheduler: nothing is paid twice."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.ledger import Ledger
from tests.support.fleet import fleet
from tests.support.fleet_audits import CAP, same, spent
from tests.support.proxy import proxy_before, proxy_before_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fleet_audits import Audit
    from tests.support.postgresql import Server
    from tests.support.proxy import Proxy

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
pytestmark = pytest.mark.slow
SHORTLY = 1.0  # seconds that a cut lasts: far less than a lease


@contextlib.contextmanager
def between(server: Server) -> Iterator[tuple[Proxy, dict[str, str], str]]:
    """Put a proxy before the server; give it, the environment of who goes by it, and the folder."""
    with tempfile.TemporaryDirectory() as folder, proxy_before(server.socket, Path(folder)) as proxy:
        yield proxy, {"PGHOST": folder}, str(server.socket.parent)


def hostless(url: str) -> str:
    """Return a ledger's address from which each machine goes its own way, by PGHOST."""
    before, _, after = url.partition("host=")
    return f"{before}{after.partition('&')[2]}"


async def test_a_worker_cut_off_from_the_ledger_for_a_moment_goes_on(
    audit: Audit, tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections break amid photos, and new ones fail for less than a lease: every query is paid once."""
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        expected, _ = await audit.run(alone)
    before = audit.billed

    with between(postgresql) as (proxy, through, direct):
        monkeypatch.setenv("PGHOST", direct)
        async with fleet(tmp_path) as cluster:
            await cluster.start(1, threads=1, more=through)
            await cluster.start(1, threads=1)

            def cut() -> None:
                proxy.cut()
                threading.Timer(SHORTLY, proxy.mend).start()
                audit.model.when_billed(30, cut)

            audit.model.when_billed(15, cut)
            with Ledger(hostless(postgresql.url())) as shared:
                rows, engine = await audit.on(cluster, shared)
                state = spent(shared)

    assert engine.error is None
    assert same(rows) == same(expected)
    assert (state.posted.queries, state.held.queries) == (audit.billed - before, 0) == (100, 0)


async def test_a_worker_that_loses_the_scheduler_alone_leaves_its_photo_to_another(
    audit: Audit, tmp_path: Path, postgresql: Server
) -> None:
    """It settles what it has sent and ends; the other worker asks the rest of its photo, and nothing is paid twice."""
    with Ledger(tmp_path / "alone.sqlite3") as alone:
        expected, _ = await audit.run(alone)
    before = audit.billed

    async with fleet(tmp_path) as cluster:
        with proxy_before_port(cluster.address) as proxy:
            direct, cluster.address = cluster.address, proxy.address
            await cluster.start(1, threads=1)
            cluster.address = direct
            await cluster.start(1, threads=1)
            audit.model.when_billed(30, proxy.cut)
            with Ledger(postgresql.url()) as shared:
                rows, engine = await audit.on(cluster, shared)
                state = spent(shared)
            await cluster.workers[0].wait()

    assert engine.error is None
    assert same(rows) == same(expected)
    assert audit.billed - before <= CAP
    assert (state.posted.queries, state.held.queries) == (audit.billed - before, 0) == (100, 0)
