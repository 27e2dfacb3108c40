"""Cost of kills and faults: `python benchmarks/under_fire.py` (an hour; smaller: --queries 200 --seeds 1 --kills 2).

For each protocol and seed a paid run, by the command line in processes of its own, asks an emulator that fails a share
of requests, while the process is killed again and again; then the same command completes it. Printed are the server's
bill beside the ledger, what was posted twice, and whether the map is that of a run that nothing disturbed. Then
one run asks a free server for many queries: time, memory, bytes a query, and how long its ledger takes to open again.

What must hold, and ends the program with exit code 1 where it does not: what the server billed beyond what is posted is
covered by unknowns that stay held; no answer is posted twice but where the first could not be read, which is named; the
cap is never passed; the maps are equal, byte for byte.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from under_fire_parts import KINDS, SIZE, Counting, sides

ROOT = Path(__file__).parents[1]
PROTOCOLS = ("http", "openai", "google_vision")
MOST_STARTS = 30  # of the command, after the last kill, until it is complete
LEFT, RIGHT = "left", "right"


@dataclass(frozen=True)
class Outcome:
    """What came of one run under fire, in queries and dollars.

    starts: of the command. billed: by the server. twice: answers posted for a question beyond its first. unnamed: of
    those, the ones to questions whose answer could be read before.
    """

    protocol: str
    seed: int
    starts: int
    faults: int
    billed: int
    billed_usd: float
    posted: int
    posted_usd: float
    held: int
    held_usd: float
    twice: int
    unnamed: int
    cap: int
    equal: bool
    seconds: float

    def broken(self) -> list[str]:
        """Return which promises did not hold."""
        promises = {
            "what was billed is not covered": self.posted <= self.billed <= self.posted + self.held,
            "the bill is above what is posted and held": self.billed_usd <= self.posted_usd + self.held_usd + 1e-9,
            "the cap was passed": self.posted + self.held <= self.cap,
            "an answer that could be read was paid for again": self.unnamed == 0,
            "the maps differ": self.equal,
        }
        return [f"{self.protocol}, seed {self.seed}: {what}" for what, holds in promises.items() if not holds]


@asynccontextmanager
async def served(protocol: str, faults: dict[str, float]) -> AsyncIterator[tuple[Any, Counting, str]]:
    """Give an emulator, what counts behind it, and the specification of the oracle that asks it."""
    from oracles import function

    inner = function.connect(sides, classes=[LEFT, RIGHT], height=SIZE, width=SIZE, version="1", concurrency=4)
    counting = Counting(inner)
    usual: Any
    if protocol == "http":
        from oracles.emulators.http import Faults, HttpEmulator

        usual = HttpEmulator(counting, Faults(**faults), usd_per_image="0.002")  # type: ignore[arg-type]
        told = "http:url={url},usd_per_query=0.002"
    elif protocol == "openai":
        from oracles.emulators.openai import Faults, OpenAIEmulator

        usual = OpenAIEmulator(counting, Faults(**faults))  # type: ignore[arg-type]
        told = f"openai:model=gpt-4o-mini,base_url={{url}},key_env=REHEARSAL_KEY,height={SIZE},width={SIZE}"
    else:
        from oracles.emulators.google_vision import Faults, GoogleVisionEmulator

        usual = GoogleVisionEmulator(counting, Faults(**faults))  # type: ignore[arg-type]
        told = f"google_vision:endpoint={{url}},height={SIZE},width={SIZE},requests_per_minute=1000000,largest_batch=4"
    async with usual.running() as url:
        yield usual, counting, told.format(url=url)
    await inner.aclose()


@dataclass(frozen=True)
class Command:
    """The command of a run, with a home and a folder of its own."""

    folder: Path
    oracle: str
    queries: int
    cap: int
    seed: int

    async def run(self, during: Callable[[Callable[[], None]], None] = lambda _: None) -> int:
        """Run it in a process of its own; return its exit code. during: is given what kills the process."""
        words = [
            *(sys.executable, "-m", "bbquery", "explain", str(self.folder.parent / "photo.png"), "--target", LEFT),
            *("--oracle", self.oracle, "--method", f"rise:queries={self.queries}", "--drift-every", "0", "--yes"),
            *("--max-queries", str(self.cap), "--verify", "0", "--max-usd", "1000", "--seed", str(self.seed)),
            *("--out", str(self.folder / "out")),
        ]
        own = {"BBQUERY_HOME": str(self.folder / "home"), "REHEARSAL_KEY": "sk-rehearsal"}
        with (self.folder / "said").open("ab") as said:
            process = await asyncio.create_subprocess_exec(
                *words, env=os.environ | own, cwd=ROOT, stdout=said, stderr=said
            )
            during(process.kill)
            return await process.wait()

    def map(self) -> bytes:
        """Return the map, as bytes."""
        return (self.folder / "out" / f"{LEFT}.npy").read_bytes()

    def complete(self) -> bool:
        """Return whether every question has an answer."""
        record = json.loads((self.folder / "out" / "run.json").read_text())
        return bool(record["queries"]["answered"] == record["queries"]["asked"])


async def under_fire(protocol: str, seed: int, chosen: argparse.Namespace, folder: Path) -> Outcome:
    """Run once undisturbed, and once through faults and kills; compare."""
    for name in ("calm", "fire"):
        (folder / name).mkdir(parents=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(folder / "photo.png")
    cap = 2 * chosen.queries + 200 * chosen.kills + 100
    async with served(protocol, {}) as (_, _, oracle):
        calm = Command(folder / "calm", oracle, chosen.queries, cap, seed)
        assert await calm.run() == 0, f"an undisturbed run failed: see {calm.folder / 'said'}"
    shares = {kind: chosen.faults / len(KINDS) for kind in KINDS}
    async with served(protocol, {"seed": seed, "retry_after": 0.0, **shares}) as (emulator, counting, oracle):
        fire, began = Command(folder / "fire", oracle, chosen.queries, cap, seed), time.perf_counter()
        starts = await through_kills(fire, counting, chosen, seed)
        seconds = time.perf_counter() - began
    return outcome(
        fire, emulator.bill, protocol=protocol, starts=starts, seconds=seconds, equal=fire.map() == calm.map()
    )


async def through_kills(fire: Command, counting: Counting, chosen: argparse.Namespace, seed: int) -> int:
    """Start and kill at random moments, then start until it is complete; return how often it was started."""
    rng = np.random.default_rng((seed, chosen.kills))
    for _ in range(chosen.kills):
        more = int(rng.integers(1, max(chosen.queries // (chosen.kills + 1), 2)))
        code = await fire.run(functools.partial(counting.when_answered, more))
        assert code == -signal.SIGKILL, f"not killed but ended with {code}: see {fire.folder / 'said'}"
    for start in range(1, MOST_STARTS + 1):
        code = await fire.run()
        if code == 0 and fire.complete():
            return int(chosen.kills) + start
    raise SystemExit(f"not complete after {MOST_STARTS} starts, at last with exit code {code}: {fire.folder / 'said'}")


def outcome(fire: Command, bill: Any, *, protocol: str, starts: int, seconds: float, equal: bool) -> Outcome:
    """Return the server's bill beside the ledger's."""
    os.environ["BBQUERY_HOME"] = str(fire.folder / "home")
    from bbquery.ledger import reports
    from bbquery.ledger.accounts import Accounts

    with Accounts() as accounts:
        attempts = accounts.read(lambda c: list(reports.attempts(c, None, None)))
    posted = [each for each in attempts if each.state == "posted"]
    held = [each for each in attempts if each.state in {"unknown", "open"}]
    every, read = Counter(each.key for each in posted), Counter(each.key for each in posted if not each.reason)
    faults = ("rate_limited", "server_errors", "dropped", "truncated", "junk")
    return Outcome(
        protocol=protocol,
        seed=fire.seed,
        starts=starts,
        faults=sum(getattr(bill, name) for name in faults),
        billed=bill.images_answered,
        billed_usd=bill.picodollars / 1e12,
        posted=len(posted),
        posted_usd=sum(each.cost.picodollars for each in posted if each.cost is not None) / 1e12,
        held=len(held),
        held_usd=sum(each.hold.picodollars for each in held) / 1e12,
        twice=sum(count - 1 for count in every.values()),
        unnamed=sum(max(count - 1, 0) for count in read.values()),
        cap=fire.cap,
        equal=equal,
        seconds=seconds,
    )


def row(o: Outcome) -> str:
    """Return a line of the table."""
    equal = "yes" if o.equal else "NO"
    return (
        f"| {o.protocol} | {o.seed} | {o.starts} | {o.faults:,} | {o.billed:,} | {o.posted:,} | {o.held:,} "
        f"| {o.billed_usd:.6f} | {o.posted_usd:.6f} | {o.held_usd:.6f} | {o.twice} | {o.unnamed} | {equal} "
        f"| {o.seconds:.0f} |"
    )


HEAD = """\
| protocol | seed | starts | faults | billed | posted | held | billed $ | posted $ | held $ | posted again, named \
| posted again, unnamed | map equal | seconds |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|"""

# --- many queries of a free server ---


def many(image: Any) -> list[list[float]]:
    """Answer a batch."""
    return [sides(each) for each in image]


def ask_free(url: str, queries: int, ledger: Path) -> None:
    """Ask in this process; print seconds, peak memory in MiB, and bytes on disk a query."""
    import bbquery

    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    began = time.perf_counter()
    with bbquery.Ledger(ledger) as opened:
        found = bbquery.explain(
            photo,
            f"http:url={url}",
            method=f"rise:queries={queries}",
            max_queries=2 * queries,
            verify=0,
            drift_every=0,
            ledger=opened,
        )
    seconds = time.perf_counter() - began
    assert found.queries.answered >= queries, found.queries
    size = sum(path.stat().st_size for path in ledger.parent.iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "sent": found.queries.sent, "peak": peak, "bytes": size / queries}))


def reopen(ledger: Path) -> None:
    """Open a ledger in this process and read its budgets; print seconds, imports not counted."""
    from bbquery import Ledger

    began = time.perf_counter()
    with Ledger(ledger) as opened:
        opened.budget(1)
    print(json.dumps({"seconds": time.perf_counter() - began}))


async def free(queries: int, folder: Path) -> list[str]:
    """Serve in a process of its own, ask in another, open the ledger in a third, and ask all again from the store."""
    oracle = f"function:call=benchmarks.under_fire.many,answers=probabilities,classes={LEFT}|{RIGHT},takes=batch"
    serve = ["-m", "bbquery", "serve", "--port", "0", "--oracle", f"{oracle},largest_batch=16,version=1,concurrency=2"]
    server = await asyncio.create_subprocess_exec(sys.executable, *serve, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    try:
        url = (await server.stdout.readline()).decode().split()[2].rstrip(";")
        ledger = folder / "ledger.sqlite3"
        first = await _child("--ask", url, str(queries), str(ledger))
        opened = await _child("--reopen", str(ledger))
        again = await _child("--ask", url, str(queries), str(ledger))
    finally:
        server.terminate()
        await server.wait()
    return [
        f"{first['sent']:,} queries of a free server over http: {first['seconds']:.0f} s, "
        f"{first['sent'] / first['seconds']:.0f} a second; peak memory {first['peak']:.0f} MiB; "
        f"{first['bytes']:.0f} bytes of ledger and answers a query",
        f"its ledger opens again in {opened['seconds']:.2f} s; the same run again takes {again['seconds']:.0f} s and "
        f"sends {again['sent']:,}",
    ]


async def _child(*words: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    printed = await process.stdout.read()
    assert await process.wait() == 0, words
    found: dict[str, Any] = json.loads(printed)
    return found


async def measure(chosen: argparse.Namespace, folder: Path) -> int:
    """Print the tables; return the exit code."""
    broken: list[str] = []
    if chosen.protocols:
        share = f"{chosen.faults:.0%} faults ({', '.join(KINDS)}), {chosen.kills} kills"
        print(f"{chosen.queries:,} queries, {chosen.seeds} seeds, {share}", "", HEAD, sep="\n", flush=True)
    for protocol in chosen.protocols:
        for seed in range(chosen.seeds):
            found = await under_fire(protocol, seed, chosen, folder / f"{protocol}-{seed}")
            print(row(found), flush=True)
            broken += found.broken()
    if chosen.free:
        print("", *await free(chosen.free, folder), sep="\n")
    print(*broken, sep="\n", file=sys.stderr, end="\n" if broken else "")
    return 1 if broken else 0


def protocols(text: str) -> tuple[str, ...]:
    """Read which protocols to measure."""
    names = () if text == "none" else tuple(text.split(","))
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown protocol {unknown[0]!r}; known: {', '.join(PROTOCOLS)}, or none")
    return names


def main() -> int:
    """Read the options and measure, or do a child's part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--queries", type=int, default=2000, help="of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each protocol (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="of each run (default: %(default)s)")
    parser.add_argument("--faults", type=float, default=0.2, help="share of requests that fail (default: %(default)s)")
    which = f"of {', '.join(PROTOCOLS)}, separated by commas; none: none (default: all)"
    parser.add_argument("--protocols", type=protocols, default=PROTOCOLS, metavar="NAME[,NAME…]", help=which)
    parser.add_argument("--free", type=int, default=200_000, help="queries of a free server, 0: none (default: 200000)")
    parser.add_argument("--ask", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--reopen", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ask:
        ask_free(chosen.ask[0], int(chosen.ask[1]), Path(chosen.ask[2]))
        return 0
    if chosen.reopen:
        reopen(Path(chosen.reopen))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(chosen, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
