"""How long `bbquery explain` takes beside its network alone: `python benchmarks/explain.py`.

A sample photo is explained by `bbquery.explain` with the embedded network and a new ledger, from the first query to the
map: every answer is held, asked, kept and settled on the disk. Then the network alone answers the very same pixels, on
as many threads. Both run in turn, several times; printed are the medians and the ratio of each pair, by the clock and
by CPU. Target: 85 % of the clock are the network's, or more.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import bbquery
from bbquery.ledger.ledger import Ledger
from oracles import efficientnet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bbquery.oracle import Oracle
    from bbquery.types import Image

Spent: TypeAlias = "tuple[float, float]"
"""Seconds by the clock, and of CPU."""

METHODS = ("designed", "rise")
QUERIES = 1000
TIMES = 5
TARGET = 0.85


def explained(oracle: Oracle, method: str, queries: int) -> None:
    """Explain the sample photo once, with nothing known."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        bbquery.explain("sample:cat", oracle, method=method, max_queries=queries, ledger=ledger)


def asked(oracle: Any, method: str, queries: int) -> list[Image]:
    """Explain it so, and return the pixels that reached the network."""
    pixels, network = [], oracle._run  # noqa: SLF001 - nothing else sees them

    def noted(image: Image) -> Any:
        pixels.append(image.copy())
        return network(image)

    oracle._run = noted  # noqa: SLF001 - as above
    explained(oracle, method, queries)
    oracle._run = network  # noqa: SLF001 - as above
    return pixels


def alone(network: Callable[[Image], Any], pixels: list[Image]) -> None:
    """Ask the network for all of these, on as many threads as the oracle has."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(network, pixels))


def seconds(act: Callable[[], object]) -> Spent:
    """Return how long it takes by the clock, and in CPU of this process."""
    began, spent = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - began, time.process_time() - spent


def main() -> None:
    """Measure method by method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--times", type=int, default=TIMES)
    arguments = parser.parse_args()
    oracle: Any = efficientnet.connect()
    for method in METHODS:
        pixels = asked(oracle, method, arguments.queries)
        acts = (
            functools.partial(alone, oracle._run, pixels),  # noqa: SLF001 - the network without the oracle around it
            functools.partial(explained, oracle, method, arguments.queries),
        )
        told(f"{method}, {len(pixels)} images asked", [tuple(map(seconds, acts)) for _ in range(arguments.times)])
    print(f"target by the clock, on an idle machine: {TARGET} or more")


def told(title: str, pairs: Sequence[tuple[Spent, ...]]) -> None:
    """Print the medians and ratios of (network alone, explain)."""
    print(f"{title}, {len(pairs)} times")
    for place, measure in enumerate(("clock", "CPU")):
        bare, whole = ([pair[side][place] for pair in pairs] for side in (0, 1))
        ratios = sorted(b / w for b, w in zip(bare, whole, strict=True))
        medians = f"network alone {statistics.median(bare):.2f} s, explain {statistics.median(whole):.2f} s"
        share = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        print(f"  {measure}: {medians}: the network's share {share}")


if __name__ == "__main__":
    main()
