"""How many times faster four workers are than one: `python benchmarks/fleet_scaling.py --ledger postgresql://…`.

An audit of small photos runs on a Dask cluster on this machine, once with each number of workers, against an emulator
whose answers take 200 ms on average. Each worker is a process of one thread that asks four questions at a time. What is
counted is the time from the first photo to the last row; workers have asked a photo each before. Every run has budgets
and answers of its own. Exit code 1: four workers are less than 3.6 times as fast as one.

`--requests-per-minute` measures instead how well four workers keep a stated rate that the emulator enforces: the most
that arrived in any of its windows, what it refused, and the share of the rate that was used, all by its own count. Exit
code 1: a window held too many.

The figures are of the machine too: workers, emulator, scheduler and driver share its cores. The load is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bbquery.jobs.audit.engine import Engine  # noqa: E402 - run as a script, it finds the packages beside it
from bbquery.jobs.audit.engines import executor_of  # noqa: E402 - likewise
from bbquery.jobs.audit.photos import listing  # noqa: E402 - likewise
from bbquery.jobs.audit.reading import read  # noqa: E402 - likewise
from bbquery.jobs.watch import Watch  # noqa: E402 - likewise
from bbquery.ledger.ledger import Ledger  # noqa: E402 - likewise
from bbquery.load import oracle as connected  # noqa: E402 - likewise
from bbquery.report.audit_folder import AuditFolder  # noqa: E402 - likewise
from oracles import function  # noqa: E402 - likewise
from oracles.emulators.http import Faults, HttpEmulator  # noqa: E402 - likewise

LATENCY = 0.2  # seconds, mean
SIDE = 16  # pixels
REPEATS = 40  # of each photo: nothing is drawn, so that what is measured is asking
AT_ONCE = 4  # questions of a worker
WORKERS = (1, 4)
LEAST = 3.6  # times as fast
WINDOW = 20.0  # seconds, in which the emulator counts: as long as a stall of a busy machine is short in it


def sides(image: Any) -> list[float]:
    """Return how bright the left half is, and the right one."""
    half = image.shape[1] // 2
    left, right = float(image[:, :half].mean()) + 1, float(image[:, half:].mean()) + 1
    return [left / (left + right), right / (left + right)]


async def _workers(address: str, n: int, home: Path) -> list[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = asyncio.subprocess.DEVNULL
    return [
        await asyncio.create_subprocess_exec(
            *command, "--nthreads", "1", "--local-directory", str(home), env=environment, stdout=quiet, stderr=quiet
        )
        for _ in range(n)
    ]


async def _audited(place: Path, url: str, ledger: Ledger, address: str, photos: int) -> float:
    """Run an audit of so many photos; return how long it took, in seconds."""
    name = f"scaling-{secrets.token_hex(4)}"
    rng = np.random.default_rng(secrets.randbits(32))
    folder = place / name
    folder.mkdir()
    for number in range(photos):
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Pillow.fromarray(pixels).save(folder / f"{number:03}.png")
    file = read(
        {
            "name": name, "photos": {"from": [str(folder)], "allow_outside": True}, "repeat": {"times": REPEATS},
            "oracles": [{"name": "own", "oracle": f"http:url={url}", "drift_every": 0}],
        }
    )  # fmt: skip
    oracle = await connected(file.plan.oracles[0].oracle)
    keeper = AuditFolder(place / f"{name}-audit")
    try:
        async with executor_of(f"dask:{address}", file.plan, ledger, AuditFolder) as executor:
            began = time.perf_counter()
            engine = Engine(file.plan, listing(file).photos, [oracle], ledger, keeper, Watch(), executor=executor)
            rows = [row async for row in engine.run()]
            seconds = time.perf_counter() - began
    finally:
        await oracle.aclose()
    if engine.error is not None or len(rows) != photos:
        raise SystemExit(f"the audit did not end: {engine.error}")
    return seconds


async def _measured(place: Path, url: str, ledger: Ledger, workers: int, photos: int) -> float:
    from distributed import Client, Scheduler

    scheduler: Any
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        processes = await _workers(scheduler.address, workers, place)
        try:
            async with Client(scheduler.address, asynchronous=True, set_as_default=False) as client:
                await client.wait_for_workers(workers)
            await _audited(place, url, ledger, scheduler.address, 2 * workers)  # imports and connections
            return await _audited(place, url, ledger, scheduler.address, photos)
        finally:
            for process in processes:
                process.kill()
                await process.wait()


async def rated(place: str, photos: int, rate: int) -> int:
    """Measure how the most workers keep a rate, print, and return the exit code."""
    model = function.connect(sides, height=SIDE, width=SIDE, classes="left|right", concurrency=AT_ONCE, version="1")
    emulator = HttpEmulator(model, Faults(requests_per_minute=rate, window=WINDOW, latency=LATENCY))
    with tempfile.TemporaryDirectory() as folder, Ledger(place) as ledger:
        async with emulator.running() as url:
            stated = f"{url},requests_per_minute={rate}"
            await _measured(Path(folder), stated, ledger, WORKERS[-1], photos)
    arrived, allowed = np.array(sorted(emulator.arrivals)), rate * WINDOW / 60
    last = arrived[-photos * REPEATS :]
    inside = np.searchsorted(arrived, arrived + WINDOW) - np.arange(len(arrived))
    used = (len(last) - 1) / (last[-1] - last[0]) / (rate / 60)
    print(
        f"{WORKERS[-1]} workers, {len(arrived)} requests: at most {inside.max()} in {WINDOW:g} s, {allowed:g} allowed,"
        f" {emulator.bill.rate_limited} refused, {used:.1%} of the rate used (load {os.getloadavg()[0]:.1f})"
    )
    return 0 if inside.max() <= allowed else 1


async def main(place: str, photos: int) -> int:
    """Measure, print, and return the exit code."""
    model = function.connect(sides, height=SIDE, width=SIDE, classes="left|right", concurrency=AT_ONCE, version="1")
    taken: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder, Ledger(place) as ledger:
        for workers in WORKERS:
            async with HttpEmulator(model, Faults(latency=LATENCY)).running() as url:
                taken[workers] = seconds = await _measured(Path(folder), url, ledger, workers, photos)
            rate = photos * REPEATS / seconds
            load = os.getloadavg()[0]
            print(f"{workers} workers: {photos} photos in {seconds:.1f} s, {rate:.1f} queries/s (load {load:.1f})")
    ratio = taken[WORKERS[0]] / taken[WORKERS[-1]]
    print(f"{WORKERS[-1]} workers are {ratio:.2f} times as fast as {WORKERS[0]}; {os.cpu_count()} cores")
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", required=True, help="postgresql://USER@HOST/DATABASE; each run has a new budget")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--requests-per-minute", type=int, help="a rate that four workers are to keep")
    chosen = parser.parse_args()
    if chosen.requests_per_minute is not None:
        raise SystemExit(asyncio.run(rated(chosen.ledger, chosen.photos, chosen.requests_per_minute)))
    raise SystemExit(asyncio.run(main(chosen.ledger, chosen.photos)))
