"""Real processes on one ledger of a server: killed, restarted under, and several on one budget."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from bbquery.ledger.ledger import Ledger
from tests.client.test_kill import MEETINGS, TOTAL, bench, spend_together

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.postgresql import Server

PROCESSES = 4
CAP = 600
RUNS = [f"run {seed}" for seed in range(1, PROCESSES + 1)]


def leases_end(postgresql: Server, url: str) -> None:
    """Let the leases of the dead end at once, and not after half a minute."""
    with postgresql.connection(url) as connection:
        connection.execute("DELETE FROM owner")


async def test_kills_cost_no_answer_twice_on_a_server_either(
    tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed twice, a run ends with the map of an undisturbed one on a file, and paid nothing it could keep.

    After each kill posted + held is within the cap, only unknowns are held, and the server's bill is covered by both.
    """
    async with bench(tmp_path) as b:
        await b.explain("undisturbed")
        before, url = b.oracle.billed, postgresql.url()
        monkeypatch.setenv("BBQUERY_LEDGER", url)
        slack = TOTAL + 50
        for after in (7, 19):
            code, _ = await b.explain("killed", cap=slack, during=lambda p, n=after: b.oracle.when_billed(n, p.kill))  # type: ignore[misc] # a default binds the loop's number
            assert code == -signal.SIGKILL
            leases_end(postgresql, url)
            with Ledger(url) as ledger:
                state, unknown = ledger.budget(1), ledger.unknowns(1)
            assert state.posted.queries + state.held.queries <= slack
            assert state.held.queries == len(unknown)
            assert b.oracle.billed - before <= state.posted.queries + len(unknown)
        answered = state.posted.queries
        code, said = await b.explain("killed", cap=slack)

    assert code == 0, said
    assert b.map("killed") == b.map("undisturbed")
    assert b.record("killed")["queries"]["sent"] == TOTAL - answered
    assert b.record("killed")["queries"]["from_store"] == answered > 0


async def test_a_run_outlives_a_restart_of_the_server(
    tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server crashes in mid-run and comes back: the run waits, ends whole, and has paid each question once."""
    monkeypatch.setenv("BBQUERY_LEDGER", url := postgresql.url())
    restarts: list[asyncio.Task[None]] = []

    async def restart() -> None:
        await asyncio.to_thread(postgresql.stop, "immediate")
        await asyncio.to_thread(postgresql.start)

    async with bench(tmp_path) as b:
        code, said = await b.explain(
            "home", during=lambda _: b.oracle.when_billed(20, lambda: restarts.append(asyncio.create_task(restart())))
        )
        await asyncio.gather(*restarts)
        with Ledger(url) as ledger:
            state = ledger.budget(1)

    assert code == 0, said
    assert len(restarts) == 1
    assert (b.oracle.billed, state.posted.queries, state.held.queries) == (TOTAL, TOTAL, 0)


async def test_several_processes_never_pass_one_cap(postgresql: Server) -> None:
    """Four processes want 700 queries each of a budget of 600: they get 600, not one more, and none starves."""
    url = postgresql.url()

    codes = await spend_together(url, PROCESSES)

    with Ledger(url) as ledger:
        project, *shares = (ledger.budget(ledger.find_budget(name)) for name in ("project", *RUNS))
    assert codes == [0] * PROCESSES
    assert (project.posted.queries, project.held.queries) == (CAP, 0)
    assert sum(share.posted.queries for share in shares) == CAP
    assert min(share.posted.queries for share in shares) >= MEETINGS[-1]
