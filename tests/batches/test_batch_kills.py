"""What survives `kill -9` of a batch run: real processes, and a vendor whose state outlives them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bbquery.batches.folder import Folder
from bbquery.ledger.ledger import Ledger
from tests.support.batches_vendor import BILL, HALF_BILL, Vendor

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.records import BudgetState

QUERIES = 40  # in files of 15

RUN = """
import os, signal, sys
from pathlib import Path
import numpy as np
import bbquery
from bbquery.batch_oracle import BatchLimits
from bbquery.batches import results, settlement, transport, writer
from bbquery.batches.folder import Folder
from bbquery.system.clock import SystemClock
from bbquery.ledger import batches
from bbquery.saliency.rise import Rise
from tests.support.batches_vendor import Vendor
from tests.support.clocks import FakeClock

folder, how, point, left = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])

def at(reached):
    global left
    if reached == point:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name, called):
    function = getattr(owner, name)
    def wrapped(*arguments):
        at(called if isinstance(called, str) else called(*arguments))
        return function(*arguments)
    setattr(owner, name, wrapped)

clock = FakeClock()
SystemClock.now, SystemClock.sleep = lambda _: clock.now(), lambda _, seconds: clock.sleep(seconds)
results.LINES_AT_ONCE = 4
before(batches, "begin", "before the file")
before(Folder, "append", "held, not written")
before(Folder, "finish", "written, not synced")
before(batches, "advance", lambda connection, batch, to, *_: "before " + to)
before(transport, "settle", "between two commits of results")
before(Folder, "remove", "collected")
vendor = Vendor(folder / "vendor", BatchLimits(lines=15, bytes=10**6), looks=2, at=at)
photo = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
method = Rise(queries=40, batch=16, cells=3)
if how == "wait":
    print("ready", flush=True)
    sys.stdin.readline()
found = bbquery.explain(photo, vendor, method=method, target="left", max_queries=100, verify=0, batch=how != "now")
assert not found.partial, found.error
print(found.maps[0].values.tobytes().hex())
"""

POINTS = [
    ("before the file", 1),
    ("held, not written", 1),
    ("held, not written", 2),
    ("written, not synced", 1),
    ("before written", 1),
    ("before submitting", 1),
    ("before the vendor accepts", 1),
    ("after the vendor accepted", 1),
    ("before submitted", 1),
    ("before submitted", 2),  # one file is at the vendor already
    ("before the file", 3),
    ("while polling", 1),
    ("while polling", 4),
    ("in the middle of collecting", 1),
    ("between two commits of results", 3),
    ("before collected", 1),
    ("collected", 1),
    ("collected", 3),
]


@dataclass
class Bench:
    folder: Path

    def vendor(self) -> Vendor:
        return Vendor(self.folder / "vendor")

    def budget(self) -> BudgetState:
        with self.ledger() as ledger:
            return ledger.budget(1)

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "home" / "bbquery.sqlite3")

    async def start(self, how: str = "batch", point: str = "", times: int = 1) -> asyncio.subprocess.Process:
        command = (sys.executable, "-c", RUN, str(self.folder), how, point, str(times))
        environment = os.environ | {"BBQUERY_HOME": str(self.folder / "home")}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)

    async def killed(self, point: str, times: int) -> None:
        """Run until it kills itself at a point, the so many-th time that it gets there."""
        process = await self.start(point=point, times=times)
        _, said = await process.communicate()
        assert process.returncode == -signal.SIGKILL, said.decode()

    async def map(self, how: str = "batch") -> str:
        """Run to the end; return the map."""
        process = await self.start(how)
        out, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        return out.decode()

    def assert_settled(self) -> None:
        """Every question is in one file, every file was submitted once, and the ledger is the vendor's bill."""
        vendor, budget = self.vendor(), self.budget()
        submitted = list(vendor.submissions().values())
        assert len(set(submitted)) == len(submitted)
        assert len(set(vendor.questions())) == len(vendor.questions()) == QUERIES
        assert budget.posted.picodollars == vendor.bill == BILL + QUERIES * HALF_BILL
        assert budget.held.queries == 0
        assert Folder(self.folder / "home" / "bbquery.sqlite3").batches() == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The map of an ordinary run, without a batch and without a kill."""
    return asyncio.run(Bench(tmp_path_factory.mktemp("ordinary")).map("now"))


@pytest.mark.parametrize(("point", "times"), POINTS)
async def test_a_kill_loses_nothing_and_submits_nothing_twice(
    tmp_path: Path, undisturbed: str, point: str, times: int
) -> None:
    """Killed at a point, then run again: each line at the vendor once, its bill in the ledger, the ordinary map."""
    bench = Bench(tmp_path)
    await bench.killed(point, times)

    found = await bench.map()

    assert found == undisturbed
    bench.assert_settled()


async def test_a_run_that_is_killed_at_every_step_gets_there(tmp_path: Path, undisturbed: str) -> None:
    """One run, killed again and again, each time a step further, is the ordinary one in the end."""
    bench = Bench(tmp_path)
    for point in dict.fromkeys(point for point, _ in POINTS):
        await bench.killed(point, 1)
        state = bench.budget()
        assert state.posted.queries + state.held.queries <= 1 + QUERIES

    assert await bench.map() == undisturbed
    bench.assert_settled()


async def test_two_that_resume_at_once_submit_once(tmp_path: Path, undisturbed: str) -> None:
    """Two processes find a file that is written and one that may have been submitted: each leaves once."""
    bench = Bench(tmp_path)
    await bench.killed("after the vendor accepted", 2)
    both = [await bench.start("wait") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"

    ended = await asyncio.gather(*(process.communicate(b"go\n") for process in both))

    assert [out.decode() for out, _ in ended] == [undisturbed] * 2, [said.decode() for _, said in ended]
    bench.assert_settled()
