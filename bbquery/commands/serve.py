"""`bbquery serve`: an oracle on loopback, to rehearse with."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from bbquery import load


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    serve = commands.add_parser("serve", help="serve an oracle on loopback, to rehearse with", allow_abbrev=False)
    serve.set_defaults(run=_serve)
    serve.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="who answers")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0 picks a free one (default: %(default)s)")
    serve.add_argument(
        "--faults",
        default="",
        metavar="key=value,…",
        help="seeded faults, such as rate_limited=0.1,dropped=0.05,latency=0.2",
    )


def _serve(chosen: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_served(chosen))
    return 0


async def _served(chosen: argparse.Namespace) -> None:
    emulator = load.emulator("http")
    faults = load.configured(emulator.Faults, chosen.faults, "--faults")
    oracle = await load.oracle(chosen.oracle)
    try:
        await emulator.serve(oracle, port=chosen.port, faults=faults, ready=_ready)
    finally:
        await oracle.aclose()


def _ready(url: str) -> None:
    print(
        f"serving at {url}; Ctrl-C ends it\nask it with: bbquery explain sample:cat --oracle http:url={url}", flush=True
    )
