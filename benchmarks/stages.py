"""Where the CPU time of a query goes, rendering and encoding included: `python benchmarks/stages.py`.

Two plans run through the whole stack against a server in a process of its own: RISE's masked copies of a photo of
224x224, which compress, and the noisy copies of the likelihood ratio, which do not. Printed is each stage's share of
the CPU time of the asking process; "the loop" is what is left, which is the client and aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dispatch import IN_FLIGHT, SERVER

SIZE = (224, 224)


class Stages:
    """CPU seconds of watched functions, by stage; what one spends inside another counts for that other alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._thread = threading.local()

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Replace a function by one whose CPU time is counted."""
        function = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            outer, self._thread.inner = getattr(self._thread, "inner", 0.0), 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.thread_time() - began
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent - self._thread.inner
                self._thread.inner = outer + spent

        setattr(owner, name, watched)


async def run(url: str, kind: str, queries: int) -> None:
    """Explain a photo by one method, and print what each stage took."""
    from bbquery import Cap, Client, Ledger, run
    from bbquery.estimators.lr import LikelihoodRatio
    from bbquery.images import reading
    from bbquery.images.placement import fit
    from bbquery.ledger import codec
    from bbquery.ledger.database import Database
    from bbquery.oracle import View
    from bbquery.perturb import masks, noise
    from bbquery.saliency.rise import Rise
    from bbquery.scoring.mention import Mention
    from bbquery.types import UINT8, Text
    from oracles import http

    stages, oracle = Stages(), await http.connect(url=url, concurrency=IN_FLIGHT)
    method: Any = Rise(queries=queries) if kind == "masks" else LikelihoodRatio(queries=queries)
    stages.watch(run, "step", "method")
    for copies in (masks.MaskedCopies, noise.GaussianCopies):
        stages.watch(copies, "__getitem__", "render")
    stages.watch(codec, "image_digest", "hash")
    stages.watch(Ledger, "find", "look up")
    stages.watch(oracle, "encode", "encode")
    stages.watch(Database, "_commit", "ledger")
    x, _ = fit(reading.load("sample:cat"), View(size=SIZE), UINT8)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as ledger:
        budget = ledger.open_budget("bench", Cap(queries=queries))
        async with Client(oracle, ledger, budget) as client:
            cpu, wall = time.process_time(), time.perf_counter()
            await run.drive(method.plan(x, UINT8, 0), client, Mention().bind(Text("cat"), "cat", None))
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            sent = client.sent
    await oracle.aclose()
    report(kind, sent, cpu, wall, stages.seconds)


def report(kind: str, sent: int, cpu: float, wall: float, seconds: dict[str, float]) -> None:
    """Print milliseconds and shares."""
    print(f"{kind}: {sent} queries, {1000 * cpu / sent:.2f} ms of CPU each, {sent / wall:.0f} a second")
    for stage, spent in {**seconds, "the loop": cpu - sum(seconds.values())}.items():
        print(f"  {stage:8} {1000 * spent / sent:7.3f} ms {spent / cpu:6.1%}")


def main() -> None:
    """Run both kinds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        kind, url = chosen.one
        asyncio.run(run(url, kind, chosen.queries))
        return
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        try:
            for kind in ("masks", "noise"):
                command = [sys.executable, __file__, "--queries", str(chosen.queries), "--one", kind, url]
                subprocess.run(command, check=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
