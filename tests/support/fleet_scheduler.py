"""A Dask scheduler as a process: `python -m tests.support.fleet_scheduler PORT`; says its address once it listens."""

from __future__ import annotations

import asyncio
import sys
from typing import Any


async def _schedule(port: int) -> None:
    from distributed import Scheduler

    scheduler: Any
    async with Scheduler(host="127.0.0.1", port=port, dashboard=False) as scheduler:
        sys.stdout.write(f"{scheduler.address}\n")
        sys.stdout.flush()
        await scheduler.finished()


if __name__ == "__main__":
    asyncio.run(_schedule(int(sys.argv[1])))
