"""What survives `kill -9`, Ctrl-C and a second process: real processes against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from bbquery.client.client import QueryCounts
from bbquery.ledger.ledger import Ledger
from oracles.emulators.http import HttpEmulator
from tests.support.oracles import FakeOracle, halves_oracle

QUERIES = 120
TOTAL = QUERIES + 1


@dataclass
class Bench:
    """A photo, a server that counts, and a folder for each home."""

    folder: Path
    url: str
    oracle: FakeOracle

    async def explain(
        self, home: str, *, cap: int = TOTAL, during: Callable[[asyncio.subprocess.Process], None] | None = None
    ) -> tuple[int, str]:
        """Run the command in a process of its own; return its exit code and what it said on stderr."""
        process = await self.start(home, cap=cap)
        if during is not None:
            during(process)
        _, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, err.decode()

    async def start(self, home: str, *, cap: int = TOTAL, out: str = "out") -> asyncio.subprocess.Process:
        command = [
            *(sys.executable, "-m", "bbquery", "explain", str(self.folder / "photo.png")),
            *("--oracle", f"http:url={self.url}", "--method", f"rise:queries={QUERIES},batch=64"),
            *("--drift-every", "0", "--verify", "0", "--max-queries", str(cap), "--out", str(self.folder / home / out)),
        ]
        environment = os.environ | {"BBQUERY_HOME": str(self.folder / home / "home")}
        return await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )

    def map(self, home: str, out: str = "out") -> bytes:
        return next((self.folder / home / out).glob("*.npy")).read_bytes()

    def record(self, home: str, out: str = "out") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / home / out / "run.json").read_text())
        return loaded

    def ledger(self, home: str) -> Ledger:
        return Ledger(self.folder / home / "home" / "bbquery.sqlite3")


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(folder / "photo.png")
    oracle = halves_oracle(side=32)
    emulator = HttpEmulator(oracle)
    async with emulator.running() as url:
        yield Bench(folder, url, oracle)


async def test_ten_kills_cost_no_answer_twice(tmp_path: Path) -> None:
    """Killed at ten random moments, a run ends with the map of an undisturbed one, and paid nothing it could keep.

    After each kill: posted + held is within the cap, only unknowns are held, and the server's bill is covered. With
    slack for the unknowns the last run completes; what it sends is exactly what was not answered before.
    """
    rng = np.random.default_rng(20)
    async with bench(tmp_path) as b:
        code, _ = await b.explain("undisturbed")
        assert code == 0
        before = b.oracle.billed
        slack = TOTAL + 200
        for _ in range(10):
            code, _ = await b.explain(
                "killed",
                cap=slack,
                during=lambda p: b.oracle.when_billed(int(rng.integers(1, 12)), p.kill),
            )
            assert code == -signal.SIGKILL
            with b.ledger("killed") as ledger:
                state, unknown = ledger.budget(1), ledger.unknowns(1)
            assert state.posted.queries + state.held.queries <= slack
            assert state.held.queries == len(unknown)
            assert b.oracle.billed - before <= state.posted.queries + len(unknown)
        answered_by_then = state.posted.queries
        code, _ = await b.explain("killed", cap=slack)

    record = b.record("killed")
    assert code == 0
    assert b.map("killed") == b.map("undisturbed")
    assert record["queries"] == asdict(
        QueryCounts(
            asked=TOTAL,
            sent=TOTAL - answered_by_then,
            from_store=answered_by_then,
            unknown=len(unknown),
            answered=TOTAL,
        )
    )
    assert len(unknown) > 0
    assert record["budget"]["posted"]["queries"] == TOTAL


async def test_with_an_exact_cap_a_killed_run_ends_partial_and_names_the_unknowns(tmp_path: Path) -> None:
    """Where the cap leaves no room for what may have been billed, the rerun says so, with exit code 4 and a way out."""
    async with bench(tmp_path) as b:
        await b.explain("home", during=lambda p: b.oracle.when_billed(30, p.kill))
        code, said = await b.explain("home")
        record = b.record("home")
        more = TOTAL + record["queries"]["unknown"] + 1  # kept for one that is lost next
        completed, _ = await b.explain("home", cap=more)

    assert code == 4
    assert record["status"] == "partial"
    assert record["queries"]["unknown"] == len(record["unknown"]) > 0
    assert all(f"attempt {u['attempt']} " in said for u in record["unknown"][:3])  # the record names all
    assert f"--max-queries {more}" in said
    assert completed == 0


async def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    """Interrupted, a run stores what was answered, holds nothing and writes a partial map; a rerun completes it."""
    async with bench(tmp_path) as b:
        code, said = await b.explain(
            "home", during=lambda p: b.oracle.when_billed(25, lambda: p.send_signal(signal.SIGINT))
        )
        record = b.record("home")
        partial = b.map("home")
        with b.ledger("home") as ledger:
            state = ledger.budget(1)
        answered = b.oracle.billed
        again, _ = await b.explain("home")

    assert code == 130
    assert "PARTIAL" in said
    assert (record["status"], record["stopped"]) == ("partial", "interrupted by Ctrl-C")
    assert state.posted.queries == answered
    assert state.held.queries == 0
    assert again == 0
    assert b.oracle.billed == TOTAL
    assert b.map("home") != partial


async def test_two_equal_runs_at_once_pay_once(tmp_path: Path) -> None:
    """Two processes with the same command share the work: both end with the map, and each question is paid once."""
    async with bench(tmp_path) as b:
        both = [await b.start("home", out="a"), await b.start("home", out="b")]
        await asyncio.gather(*(p.communicate() for p in both))
        codes = [p.returncode for p in both]

    sent = [b.record("home", out)["queries"]["sent"] for out in ("a", "b")]
    assert codes == [0, 0]
    assert b.map("home", "a") == b.map("home", "b")
    assert b.oracle.billed == sum(sent) == TOTAL


MEETINGS = (0, 20, 40, 60)
"""After how many of its questions each of the runs on one budget waits for the others."""
LONGEST = 300.0  # seconds: only runs that wait for one another for ever take so long

SPEND = """
import asyncio, sys
import numpy as np
from bbquery import Ask, Cap, Client, Ledger
from oracles import function

asked = 0

def model(image):
    global asked
    if asked in MEETINGS:
        print("asked", asked, flush=True)
        sys.stdin.readline()
    asked += 1
    return [float(image.mean()) / 255]

async def main():
    place, seed = sys.argv[1], int(sys.argv[2])
    oracle = function.connect(model, version="1")
    images = np.random.default_rng(seed).integers(0, 256, (700, 8, 8, 3), dtype=np.uint8)
    with Ledger(place) as ledger:
        project = ledger.open_budget("project", Cap(queries=600))
        run = ledger.open_budget(f"run {seed}", Cap(queries=700), project)
        async with Client(oracle, ledger, run) as client:
            await client.ask(Ask(images))
    await oracle.aclose()

asyncio.run(main())
""".replace("MEETINGS", str(MEETINGS))


async def spend_together(place: object, processes: int) -> list[int | None]:
    """Let processes spend one budget until it is used up; return their exit codes.

    Each answers so many of its questions before the first of them asks on: how fast it is scheduled does not matter.
    """
    pipe = asyncio.subprocess.PIPE
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", SPEND, str(place), str(seed), stdin=pipe, stdout=pipe
        )
        for seed in range(1, processes + 1)
    ]
    async with asyncio.timeout(LONGEST):
        for asked in MEETINGS:
            for process in runs:
                assert process.stdout is not None
                assert await process.stdout.readline() == f"asked {asked}\n".encode()
            for process in runs:
                assert process.stdin is not None
                process.stdin.write(b"go\n")
        await asyncio.gather(*(process.communicate() for process in runs))
    return [process.returncode for process in runs]


async def test_runs_on_one_budget_stay_within_it_and_all_advance(tmp_path: Path) -> None:
    """Three processes open a new ledger at once, want 700 queries each, and get the project's 600, none starving."""
    path = tmp_path / "ledger.sqlite3"

    codes = await spend_together(path, 3)

    with Ledger(path) as ledger:
        project, *shares = (ledger.budget(budget) for budget in (1, 2, 3, 4))
    assert codes == [0, 0, 0]
    assert (project.posted.queries, project.held.queries) == (600, 0)
    assert sum(share.posted.queries for share in shares) == 600
    assert min(share.posted.queries for share in shares) >= MEETINGS[-1]


async def test_a_free_oracle_leaves_no_unknowns_behind(tmp_path: Path) -> None:
    """Killed while it asks an in-process oracle, which is free, a run's holds are released when it is next opened."""
    path = tmp_path / "ledger.sqlite3"
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-c", SPEND, str(path), "1")
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"asked 0\n"
    process.kill()
    await process.communicate()

    with Ledger(path) as ledger:
        assert ledger.budget(1).held.queries == 0
        assert ledger.unknowns(1) == []
