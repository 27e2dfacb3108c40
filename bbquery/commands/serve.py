"""`bbquery serve`: serve an oracle on this machine, to rehearse with."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.commands.parser import UnwrappedFormatter
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.specification import parse, with_option

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES = (
    "bbquery serve",
    "bbquery serve --protocol openai --port 8001 --faults rate_limited=0.1,latency=0.2",
)
ASKED_WITH = {
    "anthropic": "http:template=@anthropic-messages,model=claude-haiku-4-5,key_env=REHEARSAL_KEY,url={url}",
    "gemini": "http:template=@gemini,model=gemini-3.5-flash,key_env=REHEARSAL_KEY,url={url}",
    "google_vision": "google_vision:endpoint={url}",
    "http": "http:url={url}",
    "hugging_face": "http:template=@hugging-face,key_env=REHEARSAL_KEY,url={url}",
    "ollama": "http:template=@ollama,model=llava,url={url}",
    "openai": "openai:model=gpt-4o-mini,key_env=REHEARSAL_KEY,base_url={url}",
}
BODY = {"largest_body": "bytes of the largest request that is taken"}
OPTIONS = {
    "anthropic": BODY,
    "gemini": BODY,
    "google_vision": {"usd_per_thousand": "dollars for 1,000 features of images (default: the published prices)"},
    "http": {"usd_per_image": "dollars for an answered image (default: 0)", **BODY},
    "hugging_face": BODY,
    "ollama": BODY,
    "openai": {
        **BODY,
        "batch_lines": "questions of each batch that are answered whenever a batch is looked at",
    },
}
"""What each protocol's server can be told, for people."""
PRICED = {"usd_per_image": "usd_per_query", "usd_per_thousand": "usd_per_thousand"}
"""What who asks calls the price that the server takes."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    serve = commands.add_parser(
        "serve",
        help="serve an oracle on this machine, to rehearse with",
        description="Serve an oracle on this machine, as an API with its faults, to rehearse before you pay.",
        examples=EXAMPLES,
        epilog=_protocols(),
        formatter_class=UnwrappedFormatter,
    )
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--oracle",
        default=DEFAULT_ORACLE,
        metavar="NAME[:key=value,…]",
        help="oracle that answers",
    )
    serve.add_argument(
        "--protocol",
        default="http",
        metavar="NAME[:key=value,…]",
        help="protocol to speak, and options of its server, as below",
    )
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0 picks a free one")
    serve.add_argument(
        "--faults",
        default="",
        metavar="key=value,…",
        help="seeded faults, such as rate_limited=0.1,dropped=0.05,latency=0.2",
    )


def _protocols() -> str:
    """Return the protocols and their options, for people."""
    lines = ["protocols and their options:"]
    for name in load.names("emulator"):
        lines.append(f"  {name}")
        lines += [f"    {option:<18}{what}" for option, what in OPTIONS.get(name, {}).items()]
    return "\n".join(lines)


def _serve(chosen: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_served(chosen))
    return 0


async def _served(chosen: argparse.Namespace) -> None:
    emulator, options = load.emulator(chosen.protocol)
    faults = load.configured(emulator.Faults, chosen.faults, "--faults")
    oracle = await load.oracle(chosen.oracle)
    ready = functools.partial(_ready, parse(chosen.protocol)[0], options)
    try:
        await emulator.serve(oracle, port=chosen.port, faults=faults, ready=ready, **options)
    finally:
        await oracle.aclose()


def _ready(protocol: str, options: Mapping[str, object], url: str) -> None:
    """Print the address, and how to ask it at the same price."""
    oracle = ASKED_WITH[protocol].format(url=url)
    for option in PRICED.keys() & options.keys():
        oracle = with_option(oracle, PRICED[option], options[option])
    usage = f"what it billed: {url}/usage.csv, for 'bbquery budget reconcile'"
    print(f"serving at {url}; Ctrl-C ends it", f"ask it with: --oracle {oracle}", usage, sep="\n", flush=True)
