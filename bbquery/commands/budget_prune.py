"""`bbquery budget prune`: remove old and empty runs from the list; what they cost stays counted."""

from __future__ import annotations

import argparse
import datetime
from typing import TYPE_CHECKING

from bbquery.commands import budget_tables as tables
from bbquery.commands import consent
from bbquery.commands.output import say
from bbquery.errors import UsageError
from bbquery.ledger import pruning
from bbquery.ledger.accounts import Accounts

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection
    from bbquery.ledger.pruning import Prunable

ABOUT = f"""Remove runs from 'bbquery budget show'. What they sent and cost is kept: it counts in their project, or in
'{pruning.PRUNED}'. Stored answers stay. A run that holds anything stays too, and so does every project. The same
command as a pruned run begins a new budget, and finds the answers in the store."""

EXAMPLES = ("bbquery budget prune --empty --dry-run", "bbquery budget prune --before 2026-01-31 --yes")


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    prune = actions.add_parser(
        "prune", help="remove old or empty runs from the list", description=ABOUT, examples=EXAMPLES
    )
    prune.set_defaults(run=_prune)
    prune.add_argument("--before", type=day, metavar="DATE", help="runs last used before this day, as 2026-01-31")
    prune.add_argument("--empty", action="store_true", help="runs that never sent anything")
    prune.add_argument("--dry-run", action="store_true", help="show which; nothing is changed")
    prune.add_argument("--yes", action="store_true", help="agree beforehand, as scripts must")


def day(text: str) -> str:
    """Read a day; return the time in UTC at which it begins there, as the ledger writes times."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write it as 2026-01-31") from None


def _prune(chosen: argparse.Namespace) -> int:
    if chosen.before is None and not chosen.empty:
        raise UsageError("say which runs: --before DATE (last used before a day), or --empty (without a query)")
    with Accounts() as accounts:
        found = accounts.read(lambda c: pruning.prunable(c, chosen.before, empty=chosen.empty))
        lines = _lines(found)
        if chosen.dry_run or not found.runs:
            say(*lines)
            return 0
        if not chosen.yes:
            consent.ask(lines, "pruning is agreed to beforehand: type yes on a terminal, or give --yes in a script")
        found = accounts.write(lambda c: _pruned(c, chosen))
    say(*_summary(found), "pruned" if found.runs else "nothing was pruned")
    return 0


def _pruned(connection: Connection, chosen: argparse.Namespace) -> Prunable:
    """Prune what is prunable now: since it was shown, a run may have been taken up again."""
    found = pruning.prunable(connection, chosen.before, empty=chosen.empty)
    pruning.prune(connection, found.runs)
    return found


def _lines(found: Prunable) -> list[str]:
    """Return which runs are meant, for people."""
    table = tables.runs(found.runs).text.split("\n") if found.runs else []
    return [*table, *_summary(found)]


def _summary(found: Prunable) -> list[str]:
    runs = f"{len(found.runs) or 'no such'} {'run' if len(found.runs) < 2 else 'runs'}"
    hold = f"{found.holding} more {'holds' if found.holding == 1 else 'hold'}"
    held = f"; {hold} what may have been billed: 'bbquery budget reconcile'" if found.holding else ""
    return [f"{runs}{held}"]
