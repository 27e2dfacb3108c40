"""A real Dask cluster on this machine: a scheduler in the test's process, and workers in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}


class Fleet:
    """Workers that a test starts, and may kill. address: of the scheduler."""

    def __init__(self, address: str, home: Path) -> None:
        self.address, self._home = address, home
        self.workers: list[asyncio.subprocess.Process] = []

    async def start(self, workers: int, *, threads: int = 2) -> None:
        """Start workers, which have no folder of this process's, and no nanny that starts them again."""
        for _ in range(workers):
            own = self._home / f"worker{len(self.workers)}"
            own.mkdir(parents=True)
            command = (
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                self.address,
                "--no-nanny",
                "--no-dashboard",
            )
            self.workers.append(
                await asyncio.create_subprocess_exec(
                    *command, "--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--local-directory", str(own),
                    env=os.environ | {"BBQUERY_HOME": str(own), "PYTHONPATH": str(ROOT), "TMPDIR": str(own)} | QUIET,
                    cwd=own, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                )
            )  # fmt: skip

    async def close(self) -> None:
        """Kill those that are left."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()


@contextlib.asynccontextmanager
async def fleet(home: Path) -> AsyncIterator[Fleet]:
    """Run a scheduler without workers."""
    from distributed import Scheduler

    scheduler: Any
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        found = Fleet(scheduler.address, home)
        try:
            yield found
        finally:
            await found.close()
