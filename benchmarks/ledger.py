"""Holds and settlements a second in a ledger: `python benchmarks/ledger.py [--ledger PLACE]`.

So many tasks each hold one query, settle it with an answer, and begin again; what waits meanwhile shares commits.
Printed are pairs of a hold and a settlement, a second and a CPU-second of this process, of each run and their median.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap, Granted, HoldRequest, Settlement
from bbquery.ledger.store import ImageQuestion
from bbquery.types import Reply, Text
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLD, COST = Units(1, 100, 2_000), Units(1, 60, 1_500)
ORACLE = "benchmark"


async def pairs(ledger: Ledger, budget: int, tasks: int, queries: int) -> None:
    """Hold and settle so many queries, at most `tasks` at once."""
    numbers = iter(range(queries))
    await asyncio.gather(*(_one(ledger, budget, numbers) for _ in range(tasks)))


async def _one(ledger: Ledger, budget: int, numbers: Iterator[int]) -> None:
    reply = Reply(Text("a cat"), COST, None)
    for _ in numbers:
        question = ImageQuestion(os.urandom(32), ORACLE, os.urandom(32), 0)
        (granted,) = await ledger.reserve([HoldRequest(question, budget, HOLD)])
        assert isinstance(granted, Granted), granted
        await ledger.settle([Settlement(granted.attempt, "posted", COST, None, question, reply)])


def main() -> None:
    """Run it several times and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger", help="where the ledger is (default: a new SQLite file)")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        place = chosen.ledger or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ledger.sqlite3"
        ledger = stack.enter_context(Ledger(place))
        ledger.remember_oracle(ORACLE, "{}")
        project = ledger.open_budget("benchmark", Cap(queries=10**12))
        figures = []
        for run in range(chosen.runs):
            budget = ledger.open_budget(f"benchmark/{os.getpid()}-{run}", Cap(queries=10**9), project)
            wall, cpu = time.perf_counter(), time.process_time()
            asyncio.run(pairs(ledger, budget, chosen.tasks, chosen.queries))
            figures.append(
                (chosen.queries / (time.perf_counter() - wall), chosen.queries / (time.process_time() - cpu))
            )
            print(f"{figures[-1][0]:8.0f} a second, {figures[-1][1]:8.0f} a CPU-second", flush=True)
    wall_s, cpu_s = map(statistics.median, zip(*figures, strict=True))
    print(f"{wall_s:8.0f} a second, {cpu_s:8.0f} a CPU-second: medians of {len(figures)}")


if __name__ == "__main__":
    main()
