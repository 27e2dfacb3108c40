"""Engines by name, as a person chooses one: local, or a Dask cluster by the address of its scheduler."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.jobs.audit.executor import Executor, Local
from bbquery.jobs.audit.on_dask import check, connected

if TYPE_CHECKING:
    from bbquery.jobs.audit.fleet_task import KeeperIn
    from bbquery.jobs.audit.plan import Plan
    from bbquery.ledger.ledger import Ledger

LOCAL = "local"
ON_DASK = re.compile(r"dask:((?:tcp|tls)://[^/\s]+)")


@contextlib.asynccontextmanager
async def executor_of(engine: str, plan: Plan, ledger: Ledger, keeper: KeeperIn) -> AsyncIterator[Executor]:
    """Open what asks the photos of an audit. keeper: writes files where they are asked.

    Raises:
        UsageError: no engine is called so, or it cannot ask what the plan says. MissingExtra: it is not installed.
    """
    if engine == LOCAL:
        yield Local()
        return
    check(plan, ledger.place)
    async with connected(_scheduler(engine), keeper) as executor:
        yield executor


def _scheduler(engine: str) -> str:
    """Return the address of the scheduler that an engine names, such as "dask:tcp://10.0.0.4:8786"."""
    found = ON_DASK.fullmatch(engine)
    if found is None:
        known = "say local, or dask:tcp://HOST:PORT with the address of a scheduler"
        raise UsageError(f"no engine is called {engine!r}: {known}")
    return found[1]
