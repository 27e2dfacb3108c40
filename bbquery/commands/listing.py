"""`bbquery list`: the oracles, methods, attacks and scores to choose from."""

from __future__ import annotations

import argparse

from bbquery import load


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    listing = commands.add_parser("list", help="show what can be chosen", allow_abbrev=False)
    listing.set_defaults(run=_list)
    listing.add_argument("kind", choices=["oracles", "methods", "attacks", "scores", "metrics"], help="what to list")


def _list(chosen: argparse.Namespace) -> int:
    kind = chosen.kind.removesuffix("s")
    known = load.summaries(kind)
    if not known:
        print(f"no {chosen.kind} in this version")
    width = max(map(len, known), default=0)
    for name, summary in known.items():
        print(f"{name:{width}}  {summary}")
    return 0
