"""Arrivals at a server against a limit of 50 a second: `python benchmarks/pace.py` (about a minute).

The same requests through bbquery's client, through asyncio-throttle with every request waiting in it, and through
aiolimiter, in one run against one server in a process of its own that notes when each arrives. Printed for each: the
most arrivals in any sliding second and the share of the allowed rate that was used; then the CPU, in per cent of a
core, of 1,000 requests that wait for a rate of one in 10 seconds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

RATE = 50  # a second
REQUESTS = 1000
SECONDS_OF_WAITING = 10
SERVER = """
import asyncio, json, time
from aiohttp import web
arrivals = []
async def answer(request):
    arrivals.append(time.monotonic())
    await request.read()
    return web.Response(body=b'{"answers":[{"text":"cat"}]}', content_type="application/json")
async def model(request):
    body = b'{"name":"bench","identity":{"version":1},"answers":"text","largest_batch":1,"concurrency":64}'
    return web.Response(body=body, content_type="application/json")
async def read(request):
    seen, arrivals[:] = list(arrivals), []
    return web.Response(body=json.dumps(seen).encode(), content_type="application/json")
async def main():
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/answer", answer); app.router.add_get("/v1/model", model)
    app.router.add_get("/arrivals", read)
    runner = web.AppRunner(app, access_log=None); await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def bbquery(url: str, rate: float) -> None:
    """Ask through the whole client."""
    import numpy as np

    from bbquery import Ask, Cap, Client, Ledger
    from oracles import http

    oracle: Any = await http.connect(url=url, concurrency=64)
    limits = replace(oracle.capabilities.limits, requests_per_minute=60.0 * rate)
    oracle.capabilities = replace(oracle.capabilities, limits=limits)
    images = np.random.default_rng(0).integers(0, 256, (REQUESTS, 8, 8, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as ledger:
        async with Client(oracle, ledger, ledger.open_budget("bench", Cap(queries=REQUESTS))) as client:
            await client.ask(Ask(images))
    await oracle.aclose()


async def peer(url: str, limiter: Any) -> None:
    """Post with aiohttp, every request waiting in the limiter."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            async with limiter, session.post(f"{url}/v1/answer", data=b"{}") as response:
                await response.read()

        await asyncio.gather(*(one() for _ in range(REQUESTS)))


async def throttle(url: str, rate: float) -> None:
    """asyncio-throttle, as its own README uses it."""
    from asyncio_throttle.throttler import Throttler

    await peer(url, Throttler(rate_limit=max(1, int(rate)), period=max(1.0, 1 / rate)))


async def bucket(url: str, rate: float) -> None:
    """aiolimiter, as its own README uses it."""
    from aiolimiter import AsyncLimiter

    await peer(url, AsyncLimiter(max(1.0, rate), max(1.0, 1 / rate)))


JOBS = {"bbquery": bbquery, "asyncio-throttle": throttle, "aiolimiter": bucket}


async def waiting(name: str, url: str) -> float:
    """Let requests wait for ten seconds; return the CPU they cost, in per cent of a core."""
    asking = asyncio.create_task(JOBS[name](url, 0.1))
    await asyncio.wait([asking], timeout=5)  # until all wait
    cpu = time.process_time()
    await asyncio.wait([asking], timeout=SECONDS_OF_WAITING)
    share = 100 * (time.process_time() - cpu) / SECONDS_OF_WAITING
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return share


def report(name: str, arrivals: list[float], share: float) -> None:
    """Print what the server saw."""
    most = max(sum(start <= t < start + 1 for t in arrivals) for start in arrivals)
    used = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / RATE
    print(f"{name:17} at most {most:3} in a second, {used:4.0%} of the rate; waiting costs {share:4.1f} % of a core")


def main() -> None:
    """Run the jobs in turn."""
    import urllib.request

    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        try:
            for name in JOBS:
                subprocess.run([sys.executable, __file__, "run", name, url], check=True)
                with urllib.request.urlopen(f"{url}/arrivals") as response:
                    arrivals = json.load(response)
                command = [sys.executable, __file__, "wait", name, url]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                report(name, arrivals, float(done.stdout))
        finally:
            server.terminate()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", job, where]:
            asyncio.run(JOBS[job](where, RATE))
        case ["wait", job, where]:
            print(asyncio.run(waiting(job, where)))
        case _:
            main()
