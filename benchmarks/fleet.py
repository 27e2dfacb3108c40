"""A fleet of workers on one ledger, simulated: `python benchmarks/fleet.py [--measure LEDGER]`.

Who asks 10⁶ photos × 10³ queries with 1,000 workers wants to know what gives way first. Workers of the simulation do
what ours do: each has so many queries in flight; a query is held before it is sent and settled after, and whatever
waits in a worker shares its next commit. The ledger makes one commit after another, each so many milliseconds plus so
many microseconds a row. `--measure` takes these two from a real ledger (a file, or postgresql://…), by timing commits
of few and of many rows; the defaults are of PostgreSQL 15 beside the worker, on two cores.

Printed, for each number of workers: queries a second with an infinitely fast ledger and with this one, how busy the
ledger is, how long a query waits for it. `--block N` holds N queries at once, as a lease would. Then what the whole
takes in time, storage and money, and which of vendor, ledger and workers is the limit.

`--shared-rates` simulates instead what sharing a provider's rate asks of the ledger, and gives: see `shared_rates.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import heapq
import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from shared_rates import Sharing

FEW, MANY = 2, 512  # rows of the commits that are timed
TIMES = 15
KEY = 32  # bytes
LEASED_RATES = [60.0, 1800.0, 60_000.0]  # requests a minute
QUIET = 2.0  # seconds of the simulation before counting begins


@dataclass(frozen=True)
class Fleet:
    """What is simulated. commit: seconds of each. row: seconds of each hold and each settlement in it."""

    workers: int
    slots: int
    latency: float
    commit: float
    row: float
    block: int
    seconds: float


@dataclass
class Worker:
    """One process. holds, settlements: rows that wait for its next commit. leased: queries held and not yet sent."""

    holds: int
    settlements: int = 0
    leased: int = 0
    committing: bool = False
    waiting: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What came of a simulation.

    rate: queries a second. busy: share of the time that the ledger works. wait: seconds for a hold, median.
    """

    rate: float
    busy: float
    wait: float


class Simulation:
    """Workers and their ledger, event by event; times between answers are log-normal with a spread of a third."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet, self.rng, self.number = fleet, np.random.default_rng(seed), itertools.count()
        self.workers = [Worker(fleet.slots, committing=True, waiting=[0.0] * fleet.slots) for _ in range(fleet.workers)]
        self.queue = collections.deque(range(fleet.workers))
        self.events: list[tuple[float, int, str, int]] = []
        self.free, self.busy, self.answers, self.waits = 0.0, 0.0, 0, list[float]()

    def run(self) -> Found:
        """Let it run for its seconds; return what came of it."""
        now = 0.0
        self._serve(now)
        while self.events and now < self.fleet.seconds:
            now, _, what, place = heapq.heappop(self.events)
            if what == "committed":
                self.workers[place].committing = False
            else:
                self._answered(place, now)
            self._queue(place)
            self._serve(now)
        counted = now - QUIET
        return Found(self.answers / counted, self.busy / counted, statistics.median(self.waits))

    def _answered(self, place: int, now: float) -> None:
        """Settle a query, and ask for the next."""
        worker = self.workers[place]
        self.answers += now > QUIET
        worker.settlements += 1
        worker.holds += 1
        worker.waiting.append(now)

    def _queue(self, place: int) -> None:
        """Let a worker wait for its commit, if it has something to commit and does not wait already."""
        worker = self.workers[place]
        if not worker.committing and (worker.holds or worker.settlements):
            worker.committing = True
            self.queue.append(place)

    def _serve(self, now: float) -> None:
        """Begin the next commit, if the ledger is free."""
        while self.queue and self.free <= now:
            place = self.queue.popleft()
            cost = self._cost(self.workers[place])
            self.free = now + cost
            self.busy += cost if now > QUIET else 0.0
            self._send(place)
            heapq.heappush(self.events, (self.free, next(self.number), "committed", place))

    def _cost(self, worker: Worker) -> float:
        """Return the seconds of a worker's commit: blocks are held where what is leased does not reach."""
        blocks = -(-max(0, worker.holds - worker.leased) // self.fleet.block)
        worker.leased += blocks * self.fleet.block - worker.holds
        return self.fleet.commit + self.fleet.row * (blocks + worker.settlements)

    def _send(self, place: int) -> None:
        """Send the queries that a commit holds, once it is done."""
        worker = self.workers[place]
        self.waits += [self.free - asked for asked in worker.waiting]
        for length in self.rng.lognormal(np.log(self.fleet.latency), 1 / 3, worker.holds):
            heapq.heappush(self.events, (self.free + float(length), next(self.number), "answer", place))
        worker.holds, worker.settlements, worker.waiting = 0, 0, []


def show_leases(fleets: list[Fleet], rates: list[float]) -> None:
    """Simulate and print what shared rates, in requests a minute, ask of the ledger."""
    for rate, fleet in itertools.product(rates, fleets):
        found = Sharing(fleet.workers, fleet.slots, fleet.latency, rate).simulated(seed=0)
        commits = found.leases + found.refusals
        print(
            f"{rate:>8,.0f} a minute, {fleet.workers:>5} workers: {found.used:.1%} used, at most {found.most:.1%} in a"
            f" minute, {commits:>6,.1f} leases and refusals/s (ledger busy {commits * (fleet.commit + fleet.row):.1%}"
            f" with a commit each), {found.looks:>6,.1f} looks/s, line at most {found.ahead:.1f} s ahead, once all stop"
            f" the next waits {found.left:.1f} s, fewest requests of a worker {found.least:.0%} of the mean",
            flush=True,
        )


async def timed(ledger: object, rows: int, start: int) -> float:
    """Return the median seconds that a hold and a settlement of so many rows take, a commit each."""
    import bbquery
    from bbquery.ledger.records import Cap, HoldRequest, Settlement
    from bbquery.ledger.store import ImageQuestion
    from bbquery.types import Label, Labels, Reply
    from bbquery.units import Units

    assert isinstance(ledger, bbquery.Ledger)
    cost, answer = Units(queries=1), Labels(tuple(Label(f"label number {place}", 0.5) for place in range(10)))
    ledger.remember_oracle("fingerprint", "{}")
    run = ledger.open_budget(f"fleet-{start}", Cap(queries=10**9))
    taken = []
    for at in range(start, start + TIMES * rows, rows):
        keys = [each.to_bytes(KEY, "little") for each in range(at, at + rows)]
        wanted = [HoldRequest(ImageQuestion(key, "fingerprint", key, 0), run, cost) for key in keys]
        began = time.perf_counter()
        granted = await ledger.reserve(wanted)
        await ledger.settle([
            Settlement(hold.attempt, "posted", cost, None, asked.question, Reply(answer, cost))  # type: ignore[union-attr] # all granted
            for hold, asked in zip(granted, wanted, strict=True)
        ])  # fmt: skip
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measured(place: str) -> tuple[float, float]:
    """Return seconds of a commit and of a row of a real ledger, "sqlite" or one on PostgreSQL."""
    import bbquery

    start = time.time_ns()
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "ledger.sqlite3" if place == "sqlite" else place
        with bbquery.Ledger(named) as ledger:
            few, many = (asyncio.run(timed(ledger, rows, start + rows * 10**6)) for rows in (FEW, MANY))
    row = (many - few) / (2 * (MANY - FEW))
    return max(few / 2 - FEW * row, 1e-5), row


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", metavar="LEDGER", help='a real ledger: "sqlite", or postgresql://…')
    parser.add_argument("--commit-ms", type=float, default=1.5)
    parser.add_argument("--row-us", type=float, default=60.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 4, 16, 64, 256, 1000])
    parser.add_argument("--slots", type=int, default=16, help="queries in flight of each worker")
    parser.add_argument("--latency-ms", type=float, default=500.0)
    parser.add_argument("--block", type=int, default=1, help="queries held at once, as by a lease")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the simulation")
    parser.add_argument("--photos", type=int, default=10**6)
    parser.add_argument("--queries", type=int, default=10**3, help="of each photo")
    parser.add_argument("--usd", type=float, default=0.0015, help="of each query")
    parser.add_argument("--rate", type=float, default=1800.0, help="requests a minute that the vendor allows")
    parser.add_argument("--bytes", type=float, default=650.0, help="of an answer: see ledger_scale.py")
    parser.add_argument(
        "--shared-rates", type=float, nargs="*", metavar="RATE", help="requests a minute, shared by leases"
    )
    chosen = parser.parse_args()
    commit, row = chosen.commit_ms / 1e3, chosen.row_us / 1e6
    if chosen.measure:
        commit, row = measured(chosen.measure)
        print(f"measured: a commit {commit * 1e3:.2f} ms, a row {row * 1e6:.0f} µs")
    latency = chosen.latency_ms / 1e3
    fleets = [Fleet(n, chosen.slots, latency, commit, row, chosen.block, chosen.seconds) for n in chosen.workers]
    if chosen.shared_rates is not None:
        show_leases(fleets, chosen.shared_rates or LEASED_RATES)
        return
    found = Found(0.0, 0.0, 0.0)
    for fleet in fleets:
        workers = fleet.workers
        ideal = workers * chosen.slots / (fleet.latency * float(np.exp(1 / 18)))
        found = Simulation(fleet, seed=0).run()
        print(
            f"{workers:>5} workers: {found.rate:>8,.0f} queries/s of {ideal:>8,.0f} without a ledger"
            f" ({found.rate / ideal:.2f}), ledger busy {found.busy:.0%}, a hold waits {found.wait * 1e3:,.0f} ms",
            flush=True,
        )
    total = chosen.photos * chosen.queries
    days = {"workers and ledger": total / found.rate / 86_400, "vendor": total / (chosen.rate / 60) / 86_400}
    print(f"{total:,} queries: {chosen.usd * total:,.0f} dollars, {chosen.bytes * total / 1e9:,.0f} GB of ledger")
    print(", ".join(f"{name} alone {each:,.1f} days" for name, each in days.items()), flush=True)
    print(f"the limit is the {max(days, key=days.__getitem__)}")


if __name__ == "__main__":
    main()
