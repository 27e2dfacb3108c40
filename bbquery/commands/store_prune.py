"""`bbquery store prune` and `vacuum`: disk space of stored answers, and freeing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.commands import consent
from bbquery.commands.budget_prune import day
from bbquery.commands.output import in_words, say, table
from bbquery.ledger import statements, store_size
from bbquery.ledger.accounts import Accounts
from bbquery.money import dollars
from bbquery.units import total

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.store_size import Share

ABOUT = """Without a choice: shows what is stored, by oracle. With one: shows which answers that is and what they would
cost to buy again, and removes them once that is agreed to. 'bbquery store export' keeps a copy; 'bbquery store
vacuum' returns the space to the disk."""
HINT = "remove some with --before DATE, --oracle NAME or --project NAME"
AGREE = "what is removed must be paid again: type yes on a terminal, or give --yes in a script"
PRUNE = ("bbquery store prune", "bbquery store prune --before 2026-01-31 --dry-run")
VACUUM = ("bbquery store vacuum", "bbquery store prune --before 2026-01-31 --yes && bbquery store vacuum")
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both."""
    about = "show the disk space of answers, and remove some"
    prune = actions.add_parser("prune", help=about, description=ABOUT, examples=PRUNE)
    prune.set_defaults(run=_prune)
    prune.add_argument("--before", type=day, metavar="DATE", help="only those stored before this day, as 2026-01-31")
    named = "only of these oracles: name, model or fingerprint (default: all)"
    prune.add_argument("--oracle", action="extend", nargs="+", default=[], metavar="NAME", help=named)
    prune.add_argument(
        "--project", metavar="NAME", help="only what this budget, or one within, paid for (default: all)"
    )
    prune.add_argument("--dry-run", action="store_true", help="show which; nothing is changed")
    prune.add_argument("--yes", action="store_true", help="agree beforehand, as scripts must")
    vacuum = actions.add_parser("vacuum", help="return the space of pruned answers to the disk", examples=VACUUM)
    vacuum.set_defaults(run=_vacuum)


def _prune(chosen: argparse.Namespace) -> int:
    with Accounts() as accounts:
        shares = accounts.read(lambda c: store_size.shares(c, chosen.oracle, _top(c, chosen), chosen.before))
        everything = not (chosen.oracle or chosen.project or chosen.before)
        lines = [*_lines(shares), f"{_size(accounts.size())} in {accounts.name}, the ledger among them"]
        if everything or chosen.dry_run or not shares:
            say(*lines, *([HINT] if everything and shares else []))
            return 0
        if chosen.yes:
            say(*lines)
        else:
            refusal = f"{AGREE}; --dry-run shows what it is, and what buying it again costs"
            consent.ask([*lines, "they are removed from the store; the same questions are paid again"], refusal)
        gone = accounts.write(lambda c: store_size.prune(c, chosen.oracle, _top(c, chosen), chosen.before))
    answers = "1 answer" if gone == 1 else f"{gone:,} answers"
    say(f"{answers} removed; 'bbquery store vacuum' returns the space to the disk")
    return 0


def _top(connection: Connection, chosen: argparse.Namespace) -> int | None:
    return None if chosen.project is None else statements.find_budget(connection, chosen.project)


def _vacuum(_: argparse.Namespace) -> int:
    with Accounts() as accounts:
        before = accounts.size()
        accounts.vacuum()
        say(f"{accounts.name}: {_size(before)} before, {_size(accounts.size())} now")
    return 0


def _lines(shares: Sequence[Share]) -> list[str]:
    """Return a table of answers by oracle, and what all of them would cost to buy again."""
    if not shares:
        return ["no answers are stored"]
    header = ("oracle", "oldest", "newest", "answers", "size", "dollars to buy again", "imported")
    rows = [
        (
            *(share.oracle, share.oldest[:10], share.newest[:10], f"{share.answers:,}", _size(share.bytes)),
            *(dollars(share.cost.picodollars), f"{share.imported:,}"),
        )
        for share in shares
    ]
    cost = total(share.cost for share in shares)
    imported = sum(share.imported for share in shares)
    elsewhere = f"; {imported:,} imported ones were paid for elsewhere" if imported else ""
    return [*table(header, rows, words=3), f"to buy them again: {in_words(cost)}{elsewhere}"]


def _size(amount: int) -> str:
    """Return bytes for people: "8.1 MB"."""
    size, unit = float(amount), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{amount} bytes" if unit == 0 else f"{size:.1f} {UNITS[unit]}"
