"""The command line; its exit codes are in `bbquery.commands.exit_codes`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bbquery.commands import attack, budget, compare, data, evaluate, explain, listing, probe, score, serve, store
from bbquery.commands.exit_codes import exit_code
from bbquery.errors import BbqueryError
from bbquery.halt import Interrupted
from bbquery.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser().parse_args(typed)
    chosen.typed = ["bbquery", *typed]
    try:
        return int(chosen.run(chosen))
    except BbqueryError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(Interrupted("interrupted before anything was asked"))


def _fail(error: BbqueryError) -> int:
    print(f"bbquery: {error}", file=sys.stderr)
    return exit_code(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbquery", description="Explain and stress-test models that can only be asked.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"bbquery {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (explain, compare, evaluate, attack, probe, listing, score, serve, budget, store, data):
        command.add(commands)
    return parser
