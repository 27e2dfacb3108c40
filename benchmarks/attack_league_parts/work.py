"""Runs, shared out over worker processes of one thread each; this process alone writes the rows."""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
import time
import traceback
import zlib
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnxruntime
from networks import Box, opened
from threadpoolctl import threadpool_limits

from bbquery import load
from bbquery.errors import UsageError
from bbquery.plan import replay
from bbquery.types import UINT8
from bbquery.version import __version__

from .judge import DRIVING, Judge
from .photos import judging
from .players import is_scheduled
from .rows import Key, Results, Row
from .sources import digest_of
from .tiers import Run
from .transfer import last_step, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from .tiers import Part

THINKING = 0.001  # seconds a query of attacks, for the estimate before any is measured
WARM, TIMED = 5, 20  # images asked for the estimate
SEED = 0
Marks: TypeAlias = dict[str, dict[str, float | None]]


def missing(parts: Sequence[Part], folder: Path, results: Results, only: tuple[str, ...]) -> list[Run]:
    """Return the runs that have no row yet, photo by photo, so that an end before the end has all attacks on some."""
    found = []
    for part in parts:
        for photo in judging(_box(part.network), folder, part.photos):
            for attack, budget in part.runs(only):
                key = Key(part.network, part.answers, photo.name, attack, budget, SEED)
                if not results.has(key, anytime=not is_scheduled(attack)):
                    found.append(Run(part, photo, attack, budget))
    return found


def estimate(runs: Sequence[Run], processes: int) -> str:
    """Return how long it takes, in words."""
    queries = sum(run.budget for run in runs)
    minutes = sum(run.budget * (seconds(run.part.network) + THINKING) for run in runs) / processes / 60
    return f"{len(runs)} runs, {queries:,} queries: about {minutes:.0f} minutes on {processes} cores that are free"


def measure(runs: Sequence[Run], results: Results, processes: int, nice: int) -> bool:
    """Measure runs and keep their rows; return whether all could be."""
    began, done, failed = time.monotonic(), 0, 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(nice,)) as pool:
        for run, future in _ended(pool, runs, 2 * processes):
            done += 1
            try:
                row = future.result()
            except UsageError as error:  # too few queries for an attack's steps, say
                print(f"left out: {run.attack} at {run.budget}: {error}", flush=True)
                continue
            except Exception:  # noqa: BLE001 - one that is broken does not end the others' night
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f"broke: {run.attack} at {run.budget} on {run.photo.name}", flush=True)
                continue
            results.add(row)
            driving = row.marks[str(run.budget)][DRIVING.get(run.part.answers, "S1")]
            shown = "nothing found" if driving is None else f"{driving:.4f}"
            minutes = (time.monotonic() - began) / 60
            print(
                f"{done} of {len(runs)}, {minutes:.0f} min: {run.part.network}, {run.part.answers}, {run.photo.name}, "
                f"{run.attack}, {run.budget}: {shown}",
                flush=True,
            )
    return not failed


def _ended(pool: ProcessPoolExecutor, runs: Sequence[Run], most: int) -> Iterator[tuple[Run, Future[Row]]]:
    """Yield each run as it ends, with `most` of them given out at a time, so that Ctrl-C has few to wait for."""
    waiting: dict[Future[Row], Run] = {}
    left = iter(runs)
    while True:
        while len(waiting) < most and (run := next(left, None)) is not None:
            waiting[pool.submit(attacked, run)] = run
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future


def attacked(run: Run) -> Row:
    """Return the row of a run, made in this process."""
    part, photo = run.part, run.photo
    box = _box(part.network)
    queries, marks, thinking = _transferred(run, box) if part.answers == "transfer" else _asked(run, box)
    return Row(
        network=part.network,
        answers=part.answers,
        photo=photo.name,
        attack=run.attack,
        budget=run.budget,
        seed=SEED,
        queries=queries,
        marks=marks,
        thinking=round(thinking, 3),
        source=digest_of(run.attack),
        versions=_versions(box),
    )


def _asked(run: Run, box: Box) -> tuple[int, Marks, float]:
    assert run.part.answers != "transfer"
    judge = Judge(box, run.photo.x, run.part.answers, run.budget)
    attack = load.attack(run.attack, queries=run.budget)
    began = time.process_time()
    replay(attack.plan(run.photo.x, UINT8, seed_of(run.photo.name)), judge, stop_after=run.budget)
    return judge.asked, judge.marks(), time.process_time() - began - judge.seconds


def _transferred(run: Run, box: Box) -> tuple[int, Marks, float]:
    began = time.process_time()
    image = last_step(run.attack, run.photo.x, run.budget, seed_of(run.photo.name))
    took = time.process_time() - began
    return run.budget, {str(run.budget): outcome(box, run.photo.x, image)}, took


def seed_of(photo: str) -> int:
    """Return a seed of this photo's own: equal noise on all of them would be equally lucky on all of them."""
    return zlib.crc32(f"{photo} {SEED}".encode())


def _begin(nice: int) -> None:
    os.nice(nice)
    threadpool_limits(1)


@cache
def _box(network: str) -> Box:
    return opened(network)


@cache
def seconds(network: str) -> float:
    """Return how long a query of a network takes here, of a processor."""
    box, image = _box(network), np.zeros((224, 224, 3), dtype=np.uint8)
    for _ in range(WARM):
        box(image)
    began = time.process_time()
    for _ in range(TIMED):
        box(image)
    return (time.process_time() - began) / TIMED


def _versions(box: Box) -> dict[str, str]:
    return {
        "bbquery": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "weights": box.identity[:12],
    }
