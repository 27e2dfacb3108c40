"""The command line; its exit codes are in `bbquery.commands.exit_codes`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from bbquery.client.halt import Interrupted
from bbquery.commands import (
    attack,
    audit,
    beginning,
    budget,
    compare,
    completing,
    data,
    evaluate,
    explain,
    ledger,
    listing,
    news,
    probe,
    score,
    serve,
    store,
)
from bbquery.commands import help as helping
from bbquery.commands.exit_codes import exit_code
from bbquery.commands.interrupts import Interrupts
from bbquery.commands.output import warn
from bbquery.commands.parser import Parser
from bbquery.errors import BbqueryError, BudgetExhausted, NotWritten, UsageError
from bbquery.ledger import places
from bbquery.shown import safe_output
from bbquery.version import __version__

ABOUT = "Explain and stress-test image models that can only be asked, within a budget of queries and dollars."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Whatever it prints is safe to show."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    with safe_output() as out:
        code = _run(typed)
        out.flush()
        if out.failed is None:
            return code
        print(f"bbquery: standard output could not be written: {out.failed.strerror}", file=sys.stderr)
        return code or exit_code(NotWritten())


def _run(typed: list[str]) -> int:
    if not typed:
        print(beginning.BEGINNING, file=sys.stderr)
        return exit_code(UsageError())
    chosen = _parser().parse_args(typed)
    chosen.typed = ["bbquery", *typed]
    stopped = Interrupts()
    with stopped.heard(), news.told(), places.preferred(getattr(chosen, "ledger", None)):
        try:
            code = int(chosen.run(chosen))
        except BudgetExhausted as error:  # before there was any result
            code = _fail(error)
            warn(*completing.beginning(chosen.typed, error))
            return code
        except BbqueryError as error:
            return _fail(error)
        except KeyboardInterrupt:
            return _fail(Interrupted(stopped.reason()))
    finished = stopped.finished()
    return code if finished is None else code or _fail(Interrupted(finished))


def _fail(error: BbqueryError) -> int:
    print(f"bbquery: {error}", file=sys.stderr)
    return exit_code(error)


def _parser() -> Parser:
    parser = Parser(prog="bbquery", description=ABOUT, examples=beginning.EXAMPLES)
    parser.add_argument("--version", action="version", version=f"bbquery {__version__}")
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")  # typed as of the base class
    asking = (explain, compare, evaluate, attack, probe, audit)
    for command in (*asking, listing, score, serve, budget, store, ledger, data):
        command.add(commands)
    helping.add(commands, parser)
    return parser
