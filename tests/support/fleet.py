"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own that a test may kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from bbquery.jobs.audit import fleet_worker
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}
NOTHING: Mapping[str, str] = {}


def at_work() -> int:
    """Return how many photos this worker asks; called on a worker."""
    return sum(len(run.clients) for run in fleet_worker._station()._runs.values())


def told_to_stop() -> bool:
    """Whether this worker was told to send no more for a run; called on a worker."""
    return any(run.stopped for run in fleet_worker._station()._runs.values())


async def give_up_workers(dask_scheduler: Any) -> None:
    """Take all workers for lost, as a scheduler does that has not heard of them for long; called on the scheduler."""
    for address in tuple(dask_scheduler.workers):
        await dask_scheduler.remove_worker(address, stimulus_id="test")


class Fleet:
    """A scheduler at `address`, and workers without a nanny that would start them again.

    given_up: how many of the workers, the first ones, are lost to the scheduler, and run on.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self.address = ""
        self.workers: list[asyncio.subprocess.Process] = []
        self.given_up = 0
        self.scheduler: asyncio.subprocess.Process | None = None

    async def schedule(self, more: Mapping[str, str] = NOTHING) -> None:
        """Start the scheduler and wait until it listens, where it did before if it was killed."""
        port = self.address.rpartition(":")[2] or "0"
        self.scheduler = await self._process("tests.support.fleet_scheduler", port, home=self._home, more=more)
        assert self.scheduler.stdout is not None
        self.address = (await self.scheduler.stdout.readline()).decode().strip()

    async def start(
        self, workers: int, *, threads: int = 2, more: Mapping[str, str] = NOTHING, by_way_of: str = ""
    ) -> None:
        """Start workers, which have no folder of this process's, and wait for them.

        more: in their environment. by_way_of: where they find the scheduler, if not at its own address.
        """
        from distributed import Client

        for _ in range(workers):
            own = self._home / f"worker{len(self.workers)}"
            own.mkdir(parents=True)
            how = ("--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--local-directory", str(own))
            self.workers.append(
                await self._process("distributed.cli.dask_worker", by_way_of or self.address, *how, home=own, more=more)
            )
        async with Client(self.address, asynchronous=True, set_as_default=False) as client:
            await client.wait_for_workers(sum(worker.returncode is None for worker in self.workers[self.given_up :]))

    async def give_up(self) -> None:
        """Let the scheduler take all workers for lost; their photos are given to others."""
        from distributed import Client

        async with Client(self.address, asynchronous=True, set_as_default=False) as client:
            await client.run_on_scheduler(give_up_workers)
        self.given_up = len(self.workers)

    async def at_work(self) -> int:
        """Return how many photos the workers ask now, whatever the scheduler knows of it."""
        from distributed import Client

        async with Client(self.address, asynchronous=True, set_as_default=False) as client:
            found = await client.run(at_work)
            return sum(found.values())

    async def told_to_stop(self) -> None:
        """Wait until every worker was told to send no more."""
        from distributed import Client

        async with Client(self.address, asynchronous=True, set_as_default=False) as client:
            while not all((await client.run(told_to_stop)).values()):
                pass

    async def close(self) -> None:
        """Kill those that are left."""
        for process in (*self.workers, *filter(None, [self.scheduler])):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _process(
        self, module: str, *arguments: str, home: Path, more: Mapping[str, str]
    ) -> asyncio.subprocess.Process:
        own = {"BBQUERY_HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(home)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env={**os.environ, **own, **QUIET, **more}, cwd=home,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def fleet(home: Path, more: Mapping[str, str] = NOTHING) -> AsyncIterator[Fleet]:
    """Run a scheduler without workers. more: what is in its environment."""
    found = Fleet(home)
    try:
        await found.schedule(more)
        yield found
    finally:
        await found.close()
