"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own that a test may kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}
NOTHING: Mapping[str, str] = {}


class Fleet:
    """A scheduler at `address`, and workers without a nanny that would start them again."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, _free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.workers: list[asyncio.subprocess.Process] = []
        self.scheduler: asyncio.subprocess.Process | None = None

    async def schedule(self) -> None:
        """Start the scheduler, again where it was killed; whoever connects waits for it."""
        where = ("--host", "127.0.0.1", "--port", str(self._port))
        self.scheduler = await self._process("scheduler", *where, "--no-dashboard", home=self._home, more=NOTHING)

    async def start(self, workers: int, *, threads: int = 2, more: Mapping[str, str] = NOTHING) -> None:
        """Start workers, which have no folder of this process's. more: what is in their environment."""
        for _ in range(workers):
            own = self._home / f"worker{len(self.workers)}"
            own.mkdir(parents=True)
            how = ("--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--local-directory", str(own))
            self.workers.append(await self._process("worker", self.address, *how, home=own, more=more))

    async def close(self) -> None:
        """Kill those that are left."""
        for process in (*self.workers, *filter(None, [self.scheduler])):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _process(
        self, what: str, *arguments: str, home: Path, more: Mapping[str, str]
    ) -> asyncio.subprocess.Process:
        own = {"BBQUERY_HOME": str(home), "PYTHONPATH": str(ROOT), "TMPDIR": str(home)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments),
            env={**os.environ, **own, **QUIET, **more}, cwd=home,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def fleet(home: Path) -> AsyncIterator[Fleet]:
    """Run a scheduler without workers."""
    found = Fleet(home)
    try:
        await found.schedule()
        yield found
    finally:
        await found.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
