"""Real processes on one ledger, against a server that counts what arrives: together they keep its rate."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from oracles.emulators.http import Faults, HttpEmulator
from tests.support.oracles import halves_oracle
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
RATE = 600  # a minute
WINDOW = 10.0  # seconds
QUERIES = 150  # together, half as many again as a window has


async def started(place: str, url: str, workers: int) -> list[asyncio.subprocess.Process]:
    oracle = f"http:url={url},concurrency=8,requests_per_minute={RATE}"
    return [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.rate_worker", place, oracle, str(seed), str(QUERIES // workers),
            cwd=ROOT,
        )
        for seed in range(workers)
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "workers"), [("sqlite", 3), ("postgresql", 4)])
async def test_processes_together_keep_a_rate_though_one_is_killed(
    kind: str, workers: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """No window holds more than the server allows, by its own count; what a dead process leased is soon used again."""
    place = request.getfixturevalue("postgresql").url() if kind == "postgresql" else str(tmp_path / "ledger.sqlite3")
    model = halves_oracle(side=8)
    emulator = HttpEmulator(model, Faults(requests_per_minute=RATE, window=WINDOW, latency=0.2))

    async with emulator.running() as url:
        processes = await started(place, url, workers)
        model.when_billed(50, processes[0].kill)
        ended = await asyncio.gather(*(process.wait() for process in processes))

    arrived = emulator.arrivals
    busy = arrived[10:110]
    assert ended == [-signal.SIGKILL] + [0] * (workers - 1)
    assert emulator.bill.rate_limited == 0
    assert max(sum(first <= other < first + WINDOW for other in arrived) for first in arrived) <= RATE * WINDOW / 60
    assert (len(busy) - 1) / (busy[-1] - busy[0]) > 0.8 * RATE / 60  # alone each would keep to it, 3 or 4 times as much
