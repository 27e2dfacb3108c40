"""Time that attacks think a query: `python benchmarks/attack.py PHOTO [--queries 500] [--only ATTACK …]`.

Each attack that there is asks EfficientNet-Lite0 about one photo of 224 × 224; printed are milliseconds of a processor
a query, its own and the network's. The aim is at most 2 of its own. How near they come: `benchmarks/attack_league.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from attack_league_parts.photos import Photo
from attack_league_parts.players import is_wanted, players
from attack_league_parts.tables import shown
from attack_league_parts.tiers import Part, Run
from attack_league_parts.work import attacked, seconds
from networks import loaded, opened
from threadpoolctl import threadpool_limits

from bbquery.errors import UsageError

AIM = 2.0  # ms a query


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--only", nargs="+", default=(), metavar="ATTACK")
    arguments = parser.parse_args()
    photo = Photo(arguments.photo.stem, loaded(arguments.photo), known=False)
    part = Part("lite0", "labels", 1, (arguments.queries,), groups=("ours", "aware", "published"))
    attacks = [name for name in players(part.groups) if is_wanted(name, tuple(arguments.only))]
    opened(part.network)  # which makes the model, where it is not kept yet
    with threadpool_limits(1):
        print(f"the network: {1000 * seconds(part.network):.2f} ms a query", flush=True)
        for attack in attacks:
            print(f"{shown(attack):40} {_told(Run(part, photo, attack, arguments.queries))}", flush=True)


def _told(run: Run) -> str:
    try:
        row = attacked(run)
    except UsageError as error:
        return f"left out: {error}"
    milliseconds = 1000 * row.thinking / max(row.queries, 1)
    return f"{milliseconds:6.2f} ms" + (f": more than {AIM:.0f}" if milliseconds > AIM else "")


if __name__ == "__main__":
    main()
