"""The league: our maps beside other people's, at equal queries: `python benchmarks/league.py run --tier quick`.

Everything runs in this process and asks no server. What was measured is kept row by row in `--rows`, a file of the
repository, so that a run goes on where any earlier one ended, on whatever machine. Every answer of the network is kept
in `--data`, by the bytes of the image that was asked: a method that changed asks only what is new, and a method whose
masks at 256 queries begin its masks at 1,000 pays for them once. Runs side by side need photos and a `--data` each.

    python benchmarks/league.py run --tier quick [--parts games,photos] [--methods rise,designed] [--threads 2]
    python benchmarks/league.py run --tier full --forget designed     # measure a method anew
    python benchmarks/league.py run --tier full --parts photos --photos 50:100 --data runs/league-2     # side by side
    python benchmarks/league.py report                                # docs/league.md, docs/reproduction.md, PNG, CSV

With no row and no answer there yet, `quick` takes half an hour on two cores that need 17 ms a query; `full` a night.

Parts, all by default:

games     complete games of real models, where the truth is exact
photos    deletion and insertion on four networks, beside SHAP, LIME and gradients by backpropagation
labels    what is left when an API gives one label, or a list of labels, in place of probabilities
montages  the Bayesian optimisation paper's question: is the evidence in the right cell, at 200 queries?
cosines   the likelihood-ratio paper's tables 4 and 5: estimated beside backpropagated gradients
digits    GEEX's question: the area over the perturbation curve, on a small network
digit_gradients   tables 4 and 5 on that network, where copies may outnumber pixels
digit_noise       GEEX's ablation on it: how much noise, and masks drawn smaller
windows   that paper's timing table: queries and CPU seconds by the size of a photo
sanity    maps of shuffled weights, of another label, of a constant, of another seed; the photo's own edges
intervals whether the intervals of `designed` hold the truth where they were not calibrated
ceilings  how high SRG goes with any order of cells or superpixels, on two networks
closed_questions  the likelihood-ratio paper's figures 3 and C1, asked of the emulated language model

`--shared` is a folder with `games` (shapiq's precomputed games) and `images` (photos, of which a fixed list is drawn).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import warnings
from pathlib import Path

from league_parts.rows import Results
from league_parts.setting import TIERS, Setting
from networks import NETWORKS, Absent

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "games": "play",
    "photos": "photos",
    "labels": "labels",
    "montages": "montages",
    "cosines": "cosines",
    "digits": "digits",
    "digit_gradients": "digit_gradients",
    "digit_noise": "digit_noise",
    "windows": "windows",
    "sanity": "sanity",
    "intervals": "intervals",
    "ceilings": "ceilings",
    "closed_questions": "closed_questions",
}


def main() -> None:
    """Run or report."""
    chosen = _arguments()
    results = Results(chosen.rows)
    if chosen.action == "report":
        importlib.import_module("league_parts.report").write(results, chosen.docs)
        results.write_csv(chosen.data / "league.csv")
        return
    results.forget(name for name in chosen.forget.split(",") if name)
    methods = tuple(part.strip().lower() for part in chosen.methods.split(",") if part.strip())
    setting = Setting(
        TIERS[chosen.tier],
        results,
        chosen.shared,
        chosen.data,
        methods,
        chosen.threads,
        places=range(*chosen.photos),
        only=chosen.networks,
        budgets=frozenset(chosen.budgets),
        pictures=chosen.docs / "images",
    )
    for part in chosen.parts:
        began = time.monotonic()
        with warnings.catch_warnings(action="ignore"):  # those of the libraries beside us
            try:
                importlib.import_module(f"league_parts.{PARTS[part]}").run(setting)
            except Absent as absent:
                sys.exit(f"{absent}\nor leave that network out with --networks")
        print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    results.write_csv(chosen.data / "league.csv")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "report"))
    parser.add_argument("--tier", choices=sorted(TIERS), default="quick")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--methods", default="", help="parts of methods' names, separated by commas")
    parser.add_argument(
        "--photos", type=_from_to, default=(0, 1_000_000), metavar="FROM:TO", help="of the part photos, those before TO"
    )
    parser.add_argument("--networks", type=_names, default=(), help="of the part photos (default: those of the tier)")
    parser.add_argument(
        "--budgets", type=_numbers, default=(), help="of those of the tier, separated by commas; 0: none"
    )
    parser.add_argument("--forget", default="", help="methods whose rows are dropped first, separated by commas")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--rows", type=Path, default=ROOT / "benchmarks" / "league.jsonl")
    parser.add_argument("--data", type=Path, default=ROOT / "runs" / "league")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    chosen.parts = chosen.parts.split(",")
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if unknown := set(chosen.networks) - set(NETWORKS):
        parser.error(f"no such network: {', '.join(sorted(unknown))}; there are {', '.join(NETWORKS)}")
    return chosen


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _from_to(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    return int(first), int(end)


if __name__ == "__main__":
    main()
