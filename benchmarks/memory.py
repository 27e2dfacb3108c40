"""Peak memory against the number of queries: `python benchmarks/memory.py` (about three minutes).

Each run is a process of its own that explains a 224 by 224 photo through the whole stack, with a trivial function as
the oracle. Printed: peak resident memory in MiB, and its ratio to the first run's.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

QUERIES = (2_000, 20_000)
METHODS = ("rise", "lr")


def one(method: str, queries: int) -> None:
    """Explain once and print the peak."""
    import numpy as np

    import bbquery
    from oracles import function

    photo = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    oracle = function.connect(lambda batch: batch[:, ::32, ::32].mean(axis=(1, 2)) / 255, takes="batch", version="1")
    with tempfile.TemporaryDirectory() as folder, bbquery.Ledger(Path(folder) / "ledger.sqlite3") as ledger:
        result = bbquery.explain(photo, oracle, method=method, max_queries=queries, verify=0, ledger=ledger)
    assert result.queries.sent == queries
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Compare the runs."""
    for method in METHODS:
        first = None
        for queries in QUERIES:
            command = [sys.executable, __file__, method, str(queries)]
            peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            first = first or peak
            print(f"{method:5} {queries:6} queries: {peak:6.0f} MiB, {peak / first:.2f} times the first", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        one(sys.argv[1], int(sys.argv[2]))
    else:
        main()
