"""An audit through faults and kills, by the vendors' own bills: `python benchmarks/audit_under_fire.py` (ten minutes).

Photos are audited on two emulated vendors, OpenAI and Google Vision, by the command line in processes of its own, while
each vendor fails a share of requests. The process is killed by SIGKILL again and again; then the audit runs into its
cap; then the cap is raised, and the same command ends it. Last, `bbquery budget reconcile` is given what each vendor
reports of its usage, and the same audit runs where nothing disturbs it.

What must hold, and ends the program with exit code 1 where it does not: what a vendor billed beyond what the ledger has
posted is covered by unknowns that stay held; once its report is reconciled, the ledger has posted what it billed, to
the query, the token and the picodollar, and nothing is unknown; no answer is posted twice but where the first could not
be read; no cap is passed by one query; at the cap every photo that was begun is finished, but for those that want as
many queries as were lost of them; and the maps are those of the undisturbed audit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from under_fire_parts import KINDS, SIZE, Counting, sides

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from oracles import function  # noqa: E402 - run as a script, it finds the packages beside it
from oracles.emulators.google_vision import GoogleVisionEmulator  # noqa: E402 - likewise
from oracles.emulators.openai import Faults, OpenAIEmulator  # noqa: E402 - likewise

MOST_STARTS = 20  # of the command, after the last kill, until it is complete
CAP = 0.4  # of what the whole audit takes at worst: reached about half way
VENDORS = ("openai", "vision")
UNREADABLE, SETTLED = "MalformedAnswer:%", "%reconciled as%"


@dataclass
class Stage:
    """One audit: its folder, its vendors and its plan. queries: of each photo on each oracle."""

    place: Path
    photos: int
    queries: int
    emulators: dict[str, Any]
    urls: dict[str, str]
    failures: list[str] = field(default_factory=list)

    @property
    def whole(self) -> int:
        """Queries that the audit takes at worst."""
        return self.photos * len(VENDORS) * (self.queries + 5)

    def plan(self, cap: int | None) -> None:
        """Write the plan. cap: queries of the whole audit, None for none."""
        caps = "max_usd = 50" if cap is None else f"max_queries = {cap}\nmax_usd = 50"
        vision = self.urls["vision"].removeprefix("http://")
        (self.place / "plan.toml").write_text(
            f"""name = "fire"
[photos]
from = ["photos/"]
[[oracles]]
name = "openai"
oracle = "openai:model=gpt-4o-mini,base_url={self.urls["openai"]},key_env=REHEARSAL_KEY,height={SIZE},width={SIZE}"
target = "left"
drift_every = 0
[[oracles]]
name = "vision"
oracle = "google_vision:endpoint={vision},height={SIZE},width={SIZE},largest_batch=1"
target = "left"
drift_every = 0
[explain]
methods = ["rise"]
max_queries = {self.queries}
verify = 0
[repeat]
times = 2
[caps]
{caps}
""",
            encoding="utf-8",
        )

    async def command(self, *words: str) -> asyncio.subprocess.Process:
        """Begin a command of `bbquery` in a process of its own."""
        environment = os.environ | {"BBQUERY_HOME": str(self.place / "home"), "REHEARSAL_KEY": "sk-rehearsal"}
        with (self.place / "log.txt").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bbquery", *words, env=environment, stdout=log, stderr=log, cwd=ROOT
            )

    async def start(self, kill_after: int | None = None) -> int:
        """Run the audit once; kill it after so many answers of the first vendor. Return its exit code."""
        process = await self.command("audit", str(self.place / "plan.toml"), "--yes")
        if kill_after is not None:
            oracle = self.emulators["openai"].oracle
            oracle.when_answered(kill_after, process.kill)
        code = await process.wait()
        self.check_caps()
        return code

    async def reconcile(self) -> None:
        """Settle what is unknown by what each vendor reports."""
        for vendor in VENDORS:
            report = self.place / f"{vendor}.csv"
            server = self.urls[vendor].split("/")[2]
            report.write_text(self.emulators[vendor].usage.csv(server), encoding="utf-8")
            process = await self.command("budget", "reconcile", "--csv", str(report), "--by-sum")
            self.check(await process.wait() == 0, f"the report of {vendor} was not taken")

    def check(self, holds: bool, said: str) -> None:
        """Keep what does not hold."""
        if not holds:
            self.failures.append(said)

    def ledger(self) -> sqlite3.Connection:
        """Open the ledger's file to read."""
        return sqlite3.connect(f"file:{self.place / 'home' / 'bbquery.sqlite3'}?mode=ro", uri=True)

    def check_caps(self) -> None:
        """See that no budget has more than its cap."""
        with self.ledger() as connection:
            for unit in ("queries", "picodollars"):
                above = connection.execute(
                    f"SELECT name FROM budget WHERE cap_{unit} IS NOT NULL AND posted_{unit} + held_{unit} > cap_{unit}"
                ).fetchall()
                self.check(not above, f"caps of {unit} are passed: {above}")

    def spent(self, vendor: str) -> dict[str, int]:
        """Return what a vendor's budget has posted and holds."""
        names = [f"{kind}_{unit}" for kind in ("posted", "held") for unit in ("queries", "tokens", "picodollars")]
        with self.ledger() as connection:
            found = connection.execute(
                f"SELECT {', '.join(names)} FROM budget WHERE name = ?", (f"audit-fire/{vendor}",)
            ).fetchone()
        return dict(zip(names, found, strict=True))

    def twice(self) -> int:
        """Return how many answers were posted for a question beyond its first that could be read."""
        with self.ledger() as connection:
            (found,) = connection.execute(
                "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM attempt WHERE state = 'posted'"
                " AND coalesce(reason, '') NOT LIKE ? AND coalesce(reason, '') NOT LIKE ? GROUP BY key)",
                (UNREADABLE, SETTLED),
            ).fetchone()
        return int(found)

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return all rows, by oracle and photo."""
        paths = (self.place / "fire-audit").glob("*/*/row.json")
        rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return {(row["oracle"], row["photo"]): row for row in rows}

    def bills(self, *, settled: bool) -> list[str]:
        """Compare each vendor's bill with the ledger; return a line each. settled: by the vendor's report."""
        lines = []
        for vendor in VENDORS:
            bill, own = self.emulators[vendor].bill, self.spent(vendor)
            lines.append(
                f"{vendor:8} billed {bill.images_answered:,} answers, ${bill.picodollars / 1e12:.6f}; ledger posted"
                f" {own['posted_queries']:,}, ${own['posted_picodollars'] / 1e12:.6f}, and holds"
                f" {own['held_queries']:,} unknown, ${own['held_picodollars'] / 1e12:.6f}"
            )
            for what, unit in (("images_answered", "queries"), ("picodollars", "picodollars"), ("tokens", "tokens")):
                beyond = getattr(bill, what) - own[f"posted_{unit}"]
                most = 0 if settled else own[f"held_{unit}"]
                self.check(0 <= beyond <= most, f"{vendor}: {beyond} {unit} billed beyond the ledger")
                self.check(not (settled and own[f"held_{unit}"]), f"{vendor}: {unit} are held still")
        return lines


async def audited(place: Path, options: argparse.Namespace, *, share: float, kills: int) -> Stage:
    """Run an audit to its end. share: of requests that fail. kills: by SIGKILL."""
    (place / "photos").mkdir(parents=True)
    rng = np.random.default_rng(options.seed)
    for number in range(options.photos):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        pixels[:, :16] //= 1 + number % 3
        Pillow.fromarray(pixels).save(place / "photos" / f"p{number:03}.png")
    each: dict[str, Any] = dict.fromkeys(KINDS, share / len(KINDS))
    faults = [Faults(seed=options.seed + n, retry_after=0.0, **each) for n in range(len(VENDORS))]
    made = function.connect(sides, answers="probabilities", classes="left|right", version="1")
    emulators: dict[str, Any] = {
        "openai": OpenAIEmulator(Counting(made), faults[0]), "vision": GoogleVisionEmulator(Counting(made), faults[1])
    }  # fmt: skip
    async with AsyncExitStack() as opened:
        urls = {name: await opened.enter_async_context(each.running()) for name, each in emulators.items()}
        stage = Stage(place, options.photos, options.queries, emulators, urls)
        if kills:
            await _under_fire(stage, kills, rng)
            print(*stage.bills(settled=False), sep="\n")
            await stage.reconcile()
            print("reconciled", *stage.bills(settled=True), sep="\n")
        else:
            stage.plan(None)
            stage.check(await stage.start() == 0, "the undisturbed audit did not end whole")
    return stage


async def _under_fire(stage: Stage, kills: int, rng: np.random.Generator) -> None:
    """Kill it, let it reach its cap, raise the cap, and let it end."""
    cap = int(CAP * stage.whole)
    stage.plan(cap)
    codes = [await stage.start(int(rng.integers(1, max(cap // (4 * kills), 2)))) for _ in range(kills)]
    print(f"killed   {codes.count(-9)} of {kills} times; {len(stage.rows())} rows were there")
    stage.check(set(codes) == {-9}, f"not every process was killed: {codes}")
    code = await stage.start()
    rows = stage.rows().values()
    whole = sum(row["status"] == "complete" for row in rows)
    lost = sum(row["status"] == "partial" and _has_lost(row, stage.queries) for row in rows)
    print(f"at cap   exit code {code}; {whole} finished, {lost} want lost queries, {len(rows) - whole - lost} halves")
    stage.check(code == 4, f"the cap was not reached: exit code {code}")
    stage.check(0 < whole < 2 * stage.photos, f"at the cap {whole} photos are finished")
    stage.check(whole + lost == len(rows), f"at the cap {len(rows) - whole - lost} photos are halves")
    stage.plan(10 * stage.whole)
    starts, code = 0, -1
    while code != 0 and starts < MOST_STARTS:
        starts, code = starts + 1, await stage.start()
    print(f"raised   exit code {code} after {starts} starts")
    stage.check(code == 0, f"it did not end whole: exit code {code}")


def _has_lost(row: dict[str, Any], queries: int) -> bool:
    """Whether a photo took all that its maps take at worst: it is not whole since some of that was lost."""
    return int(row["posted"]["queries"] + row["held"]["queries"]) >= queries


def _same(one: Stage, other: Stage) -> int:
    """Return how many photos have the same first answer and map in both."""
    pairs = [(row, other.rows().get(key)) for key, row in one.rows().items()]
    return sum(b is not None and _shown(a) == _shown(b) for a, b in pairs)


def _shown(row: dict[str, Any]) -> Any:
    return row["status"], row["first"], [m["grid"] for m in row["maps"]]


async def main() -> int:
    """Run it, print what came of it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--queries", type=int, default=40, help="of each photo on each vendor")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--faults", type=float, default=0.2, help="share of requests that fail")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stage = await audited(Path(folder) / "fire", options, share=options.faults, kills=options.kills)
        calm = await audited(Path(folder) / "calm", options, share=0.0, kills=0)
        same, count = _same(stage, calm), 2 * options.photos
        stage.check(same == count, f"{count - same} of {count} photos are not as in the undisturbed audit")
        stage.check(stage.twice() == 0, f"{stage.twice()} answers were posted twice")
        print(
            f"photos   {options.photos} on {len(VENDORS)} vendors, {options.faults:.0%} faults, {options.kills} kills"
        )
        print(f"maps     {same} of {count} are those of the undisturbed audit; {stage.twice()} answers posted twice")
        print(f"seconds  {time.monotonic() - began:.0f}")
        failures = stage.failures + calm.failures
        if failures:
            print(*(each.place.joinpath("log.txt").read_text(errors="replace") for each in (stage, calm)), sep="\n")
    print(*(f"FAILED: {each}" for each in failures), sep="\n", end="" if not failures else "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
