"""`bbquery ledger`: move what was paid and answered to another place."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.commands.output import say
from bbquery.errors import UsageError
from bbquery.ledger import copying, places
from bbquery.ledger.accounts import Accounts

if TYPE_CHECKING:
    from bbquery.ledger.places import Place

ABOUT = "A ledger is a file on this machine, or is on PostgreSQL for several machines. Both hold the same."
COPY = (
    "bbquery ledger copy ~/.local/share/bbquery/bbquery.sqlite3 postgresql://me@db.example.org/audits",
    "bbquery ledger copy postgresql://me@db.example.org/audits audits.sqlite3",
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    about = "copy a ledger to another place, such as PostgreSQL"
    ledger = commands.add_parser("ledger", help=about, description=ABOUT, examples=COPY)
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    copy = actions.add_parser("copy", help="copy budgets, attempts and answers into a new ledger", examples=COPY)
    copy.set_defaults(run=_copy)
    where = "a file, or postgresql://USER@HOST/DATABASE"
    copy.add_argument("source", type=place, metavar="FROM", help=f"the ledger to copy, which nobody uses: {where}")
    copy.add_argument("target", type=place, metavar="TO", help=f"a ledger that is not there yet, or empty: {where}")


def add_ledger(command: argparse._ActionsContainer) -> None:
    """Declare where the ledger is."""
    what = "file or postgresql://USER@HOST/DATABASE with budgets and answers"
    default = f"{places.ENVIRONMENT}, or else a file of your own"
    command.add_argument("--ledger", type=place, metavar="PLACE", help=f"{what} (default: {default})")


def place(text: str) -> Place:
    """Return a place that a person typed.

    Raises:
        ArgumentTypeError: it is none, or holds a password. The message does not repeat it.
    """
    try:
        return places.checked(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _copy(chosen: argparse.Namespace) -> int:
    if isinstance(chosen.source, Path) and not chosen.source.is_file():
        raise UsageError(f"there is no ledger {chosen.source}")
    with contextlib.ExitStack() as stack:
        source, target = (stack.enter_context(Accounts(each)) for each in (chosen.source, chosen.target))
        rows = copying.copy(source, target).rows
    counts = ", ".join(f"{rows[table]:,} {table}{'s' * (rows[table] != 1)}" for table in SAID)
    say(
        f"copied {counts}: the totals agree",
        f"use {target.name} from now on, with --ledger or {places.ENVIRONMENT}: what both spend is not added up",
    )
    return 0


SAID = ("budget", "attempt", "answer", "oracle")
