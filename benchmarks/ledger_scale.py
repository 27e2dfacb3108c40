"""The ledger and the answer store as they grow, on one machine: `python benchmarks/ledger_scale.py [ANSWERS …]`.

One file grows from size to size by the two calls that the client makes: so many holds, so many settlements with their
answers, a commit each. At every size, printed with the ratio to the size before:

answers/s   of CPU time, holds and settlements together, without an oracle, a thread or an image
bytes       of the file, for each answer that it holds
reopen      CPU seconds until a new process has opened it, and buried what a dead one left (5,000 open attempts)
by the clock   the same in seconds that pass, which other work makes longer
show        CPU seconds of `bbquery budget show`, a process of its own, most of which is starting Python
look up     milliseconds that pass for 64 answers at random places, half of them absent; a process that just opened it

CPU time elsewhere, so that what runs beside does not count. Nothing should grow faster than linearly: so ratios of
bytes, look up and answers/s should stay near 1. Sizes default to 10,000 and 100,000; 1,000,000 take some minutes and
half a gigabyte, 10,000,000 a long coffee and seven.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.ledger.records import HoldRequest

SIZES = (10_000, 100_000)
TOGETHER = 1024  # holds in a commit: what a client of 64 slots gathers is less, so this is the ledger's own limit
LEFT_OPEN = 5_000
LOOK_UPS = 64
TIMES = 15
HOLD = 34 * 10**8  # picodollars, as of one small image
QUERY = """
import hashlib, sys, time
from pathlib import Path
import bbquery
import numpy as np
imported, began = time.process_time(), time.perf_counter()
ledger = bbquery.Ledger(Path(sys.argv[1]))
opened, passed = time.process_time() - imported, time.perf_counter() - began
size, times, number = map(int, sys.argv[2:5])
rng = np.random.default_rng(size)
taken = []
for _ in range(times):
    keys = [hashlib.sha256(b"%d" % each).digest() for each in rng.integers(0, 2 * size, number)]
    before = time.perf_counter()
    found = ledger.find(keys)
    taken.append(time.perf_counter() - before)
assert 0 < len(found) < number
print(opened, passed, sorted(taken)[times // 2] * 1000)
"""


def requests(start: int, stop: int, budget: int) -> Sequence[HoldRequest]:
    """Return what the client would ask to hold for questions number start to stop."""
    from bbquery.ledger.records import HoldRequest
    from bbquery.ledger.store import ImageQuestion
    from bbquery.units import Units

    hold = Units(queries=1, tokens=100, picodollars=HOLD)
    keys = (hashlib.sha256(b"%d" % number).digest() for number in range(start, stop))  # in no order, as real ones
    return [HoldRequest(ImageQuestion(key, "fingerprint", key, 0), budget, hold) for key in keys]


async def grow(path: Path, start: int, stop: int, budget: str) -> float:
    """Ask and answer questions number start to stop; return how many a second."""
    import bbquery
    from bbquery.ledger.records import Cap, Settlement
    from bbquery.types import Label, Labels, Reply
    from bbquery.units import Units

    cost = Units(queries=1, tokens=80, picodollars=HOLD // 2)
    answer = Labels(tuple(Label(f"label number {place}", 0.9 - place / 20) for place in range(10)))
    with bbquery.Ledger(path) as ledger:
        ledger.remember_oracle("fingerprint", "{}")
        project = ledger.open_budget("project", Cap(queries=10**12))
        run = ledger.open_budget(budget, Cap(queries=10**9), project)
        began = time.process_time()
        for at in range(start, stop, TOGETHER):
            wanted = requests(at, min(at + TOGETHER, stop), run)
            granted = await ledger.reserve(wanted)
            await ledger.settle([
                Settlement(hold.attempt, "posted", cost, None, asked.question, Reply(answer, cost))  # type: ignore[union-attr] # all are granted
                for hold, asked in zip(granted, wanted, strict=True)
            ])  # fmt: skip
        return (stop - start) / (time.process_time() - began)


async def leave_open(path: Path, start: int) -> None:
    """Hold for questions that nobody settles."""
    import bbquery
    from bbquery.ledger.records import Cap

    ledger = bbquery.Ledger(path)
    run = ledger.open_budget("left", Cap(queries=10**9))
    for at in range(start, start + LEFT_OPEN, TOGETHER):
        await ledger.reserve(requests(at, min(at + TOGETHER, start + LEFT_OPEN), run))
    os._exit(0)  # as a process that is killed


def child(*arguments: str | Path, home: Path) -> tuple[float, str]:
    """Run Python; return its CPU seconds and what it printed."""
    began = _cpu_of_children()
    environment = {**os.environ, "BBQUERY_HOME": str(home)}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment)
    return _cpu_of_children() - began, done.stdout


def _cpu_of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def measured(home: Path, before: int, size: int) -> dict[str, float]:
    """Grow the ledger to a size; return its figures."""
    path = home / "bbquery.sqlite3"
    rate = asyncio.run(grow(path, before, size, f"run-{size}"))
    child(__file__, "--leave-open", str(4 * size), path, home=home)
    told = child("-c", QUERY, path, str(size), str(TIMES), str(LOOK_UPS), home=home)[1]
    opened, passed, look_up = map(float, told.split())
    show = min(child("-m", "bbquery", "budget", "show", home=home)[0] for _ in range(3))
    held = sum(each.stat().st_size for each in home.glob("bbquery.sqlite3*") if each.is_file())
    return {
        "answers/s": rate,
        "bytes": held / size,
        "reopen": opened,
        "by the clock": passed,
        "show": show,
        "look up": look_up,
    }


def main() -> None:
    """Grow and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, metavar="ANSWERS")
    parser.add_argument("--leave-open", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.leave_open:
        asyncio.run(leave_open(Path(chosen.leave_open[1]), int(chosen.leave_open[0])))
    with tempfile.TemporaryDirectory() as folder:
        last: dict[str, float] = {}
        before = 0
        for size in sorted(chosen.sizes):
            found = measured(Path(folder), before, size)
            said = ", ".join(
                f"{name} {value:,.3g}" + (f" ({value / last[name]:.2f}×)" if last else "")
                for name, value in found.items()
            )
            print(f"{size:>12,} answers: {said}", flush=True)
            before, last = size, found


if __name__ == "__main__":
    main()
