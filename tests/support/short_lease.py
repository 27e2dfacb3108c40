"""Let a process's leases in a shared ledger be short: a module that a Dask worker loads first.

Whatever loads it takes others for dead as early, and Dask waits as briefly for the threads of a worker that closes.
"""

from __future__ import annotations

import functools
from typing import Any

from bbquery.ledger import postgres_owners

LEASE = 3  # seconds
HEARD = postgres_owners.HEARD.replace(f"{postgres_owners.LEASE} seconds", f"{LEASE} seconds")
PRELOADED = {"DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{__name__}']"}
"""The environment of a worker that loads it."""


def dask_setup(worker: Any) -> None:
    """Make them short."""
    worker.close = functools.partial(worker.close, timeout=1)
    postgres_owners.LEASE, postgres_owners.HEARD = LEASE, HEARD
    postgres_owners.MARGIN, postgres_owners.RENEWAL = 1.0, 0.3
