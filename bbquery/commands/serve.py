"""`bbquery serve`: an oracle on loopback, to rehearse with."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools

from bbquery import load

ASKED_WITH = {
    "google_vision": "google_vision:endpoint={url}",
    "http": "http:url={url}",
    "openai": "openai:model=gpt-4o-mini,key_env=REHEARSAL_KEY,base_url={url}",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    serve = commands.add_parser("serve", help="serve an oracle on loopback, to rehearse with", allow_abbrev=False)
    serve.set_defaults(run=_serve)
    serve.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="who answers")
    serve.add_argument(
        "--protocol",
        default="http",
        choices=list(load.names("emulator")),
        help="whose protocol is spoken (default: %(default)s)",
    )
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
    emulator = load.emulator(chosen.protocol)
    faults = load.configured(emulator.Faults, chosen.faults, "--faults")
    oracle = await load.oracle(chosen.oracle)
    try:
        await emulator.serve(oracle, port=chosen.port, faults=faults, ready=functools.partial(_ready, chosen.protocol))
    finally:
        await oracle.aclose()


def _ready(protocol: str, url: str) -> None:
    """Say where it is and how it is asked."""
    oracle = ASKED_WITH[protocol].format(url=url)
    print(f"serving at {url}; Ctrl-C ends it", f"ask it with: --oracle {oracle}", sep="\n", flush=True)
