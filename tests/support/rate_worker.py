"""A process that asks a server by a shared ledger: `python -m tests.support.rate_worker LEDGER ORACLE SEED QUERIES`."""

from __future__ import annotations

import asyncio
import sys

import numpy as np

from bbquery import load
from bbquery.client.client import Client
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.plan import Ask


async def asked(place: str, specification: str, seed: int, queries: int) -> None:
    """Ask different images, with a budget of its own."""
    images = np.random.default_rng(seed).integers(0, 256, (queries, 8, 8, 3), dtype=np.uint8)
    oracle = await load.oracle(specification)
    with Ledger(place) as ledger:
        budget = ledger.open_budget(f"worker {seed}", Cap(queries=2 * queries))
        async with Client(oracle, ledger, budget) as client:
            await client.ask(Ask(images))
    await oracle.aclose()


if __name__ == "__main__":
    asyncio.run(asked(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
