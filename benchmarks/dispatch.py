"""The cost of the client: requests per CPU-second and per second against bare loops: `python benchmarks/dispatch.py`.

All send the same ready-made bodies (150 kB) to the same server, a process of its own, with 64 requests in flight, in
turn and several times; printed are medians and the ratios of each pair, run by run. The whole stack does strictly
more: it looks every answer up, holds and settles every query on disk before and after, and keeps every answer.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BODY = 150_000
IN_FLIGHT = 64
SERVER = """
import asyncio, sys
from aiohttp import web
CHAT = (b'{"id":"x","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp",'
        b'"service_tier":"default","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"cat"}}],'
        b'"usage":{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101}}')
MODEL = b'{"name":"bench","identity":{"version":1},"answers":"text","largest_batch":1,"concurrency":64}'
async def chat(request):
    await request.read()
    return web.Response(body=CHAT, content_type="application/json")
async def answer(request):
    await request.read()
    return web.Response(body=b'{"answers":[{"text":"cat"}]}', content_type="application/json")
async def model(request):
    return web.Response(body=MODEL, content_type="application/json")
async def main():
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/answer", answer); app.router.add_get("/v1/model", model)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None); await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


class Tiny:
    """Images of one pixel's difference, so that rendering and hashing cost next to nothing."""

    def __init__(self, n: int, start: int) -> None:
        import numpy as np

        self._n, self._start, self._np = n, start, np

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, row: int, /) -> Any:
        return self._np.frombuffer((self._start + row).to_bytes(12, "big") * 16, dtype=self._np.uint8).reshape(8, 8, 3)


async def bare(url: str, n: int) -> None:
    """Post the body with aiohttp and read the answer."""
    import aiohttp
    import orjson

    body = b'{"images":["' + base64.b64encode(os.urandom(BODY * 3 // 4)) + b'"]}'
    rows = iter(range(n))
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for _ in rows:
                async with session.post(
                    f"{url}/v1/answer", data=body, headers={"Content-Type": "application/json"}
                ) as response:
                    orjson.loads(await response.read())

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def stack(url: str, n: int) -> None:
    """Ask through the whole client, over our own protocol."""
    from oracles import http

    oracle: Any = await http.connect(url=url, concurrency=IN_FLIGHT)
    body = b'{"images":["' + base64.b64encode(os.urandom(BODY * 3 // 4)) + b'"]}'
    oracle.encode = lambda _: body
    await _through_client(oracle, n)


async def _through_client(oracle: Any, n: int) -> None:
    from bbquery import Ask, Cap, Client, Ledger

    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as ledger:
        budget = ledger.open_budget("bench", Cap(queries=n))
        async with Client(oracle, ledger, budget) as client:
            for start in range(0, n, 1024):
                rows = await client.ask(Ask(Tiny(min(1024, n - start), start)))
                assert all(reply is not None for (reply,) in rows), client.halt.reason
    await oracle.aclose()


async def sdk(url: str, n: int) -> None:
    """Use the openai package plainly, with a semaphore."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    image = "data:image/png;base64," + base64.b64encode(os.urandom(BODY * 3 // 4)).decode()
    content: Any = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": image, "detail": "low"}},
    ]
    rows = iter(range(n))
    async with AsyncOpenAI(
        api_key="none", base_url=f"{url}/v1", max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:

        async def work() -> None:
            for _ in rows:
                await client.chat.completions.create(
                    model="gpt-4o-mini", max_tokens=16, messages=[{"role": "user", "content": content}]
                )

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def openai_stack(url: str, n: int) -> None:
    """Ask through the whole client and the openai oracle."""
    from oracles import openai

    oracle: Any = openai.connect(model="gpt-4o-mini", base_url=f"{url}/v1", key_env=None, concurrency=IN_FLIGHT)
    ready = _padded(oracle.encode(Tiny(1, 0)[0]))
    oracle.encode = lambda _: ready
    await _through_client(oracle, n)


def _padded(payload: Any) -> Any:
    """Return a payload as large as the others' bodies."""
    import dataclasses

    fields = {f.name: getattr(payload, f.name) for f in dataclasses.fields(payload)}
    name, data = max(((k, v) for k, v in fields.items() if isinstance(v, bytes | str)), key=lambda item: len(item[1]))
    filler = base64.b64encode(os.urandom(BODY * 3 // 4))
    longer = data + filler if isinstance(data, bytes) else data + filler.decode()
    return dataclasses.replace(payload, **{name: longer})


JOBS = {"bare aiohttp": bare, "bbquery http": stack, "openai plainly": sdk, "bbquery openai": openai_stack}


def one(name: str, url: str, n: int) -> None:
    """Run one job in this process, imports and first requests not counted; print requests per CPU-second and second."""
    asyncio.run(JOBS[name](url, IN_FLIGHT))
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(JOBS[name](url, n))
    print(n / (time.process_time() - cpu), n / (time.perf_counter() - wall))


def main() -> None:
    """Run the jobs in turn and print medians and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        name, url = chosen.one
        one(name, url, chosen.requests)
        return
    jobs = chosen.jobs.split(",")
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        try:
            for _ in range(chosen.runs):
                for name in jobs:
                    command = [sys.executable, __file__, "--requests", str(chosen.requests), "--one", name, url]
                    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
                    figures[name].append((float(printed[0]), float(printed[1])))
        finally:
            server.terminate()
    for name, runs in figures.items():
        print(f"{name:15} {_median(r[0] for r in runs):7.0f} a CPU-second, {_median(r[1] for r in runs):7.0f} a second")
    for mine, peer in (("bbquery http", "bare aiohttp"), ("bbquery openai", "openai plainly")):
        if mine in figures and peer in figures:
            pairs = list(zip(figures[mine], figures[peer], strict=True))
            cpu, wall = (_median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
            print(f"{mine} / {peer}: {cpu:.2f} per CPU-second, {wall:.2f} per second (medians of {len(pairs)} pairs)")


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
