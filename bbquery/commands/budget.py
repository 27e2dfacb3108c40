"""`bbquery budget`: set and show budgets, and settle attempts of unknown outcome."""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bbquery import money
from bbquery.commands import budget_prune
from bbquery.commands import budget_tables as tables
from bbquery.commands.ledger import add_ledger
from bbquery.commands.output import in_words, say, standard_output
from bbquery.commands.parser import UnwrappedFormatter
from bbquery.errors import UsageError
from bbquery.ledger import caps, reconcile, reports, settlement_csv, statements, vendor
from bbquery.ledger.accounts import Accounts
from bbquery.report.files import Write, whole_file
from bbquery.shown import as_json, cell
from bbquery.units import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.reconcile import Settled
    from bbquery.ledger.usage import Usage
    from bbquery.ledger.vendor import Comparison

ABOUT = """Budgets are kept in a ledger on this machine. A run has one of its own; those that you make,
projects, hold for every command that names them with --project, also for several at once."""
SHOW = ("bbquery budget show", "bbquery budget show --by oracle")
SET = ("bbquery budget set audit --max-usd 20", "bbquery budget set audit-cats --inside audit --max-queries 5000")
RECONCILE = ("bbquery budget reconcile", "bbquery budget reconcile --all --outcome posted")
EXPORT = ("bbquery budget export", "bbquery budget export --out attempts.csv")
CAPS = {"max_queries": "queries", "max_tokens": "tokens", "max_usd": "picodollars"}
MOST_SHOWN = 20  # attempts, a line each
HELD = "default: what was held"
BY_SUM = """with a vendor's report: settle also where it counts only some of the unknowns and so does not say which; the
sum is then as billed, and that of a budget which holds not all of them may not be"""
KEPT = "default: as it is; of a new budget none"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    about = "show, set, settle, export and prune budgets"
    budget = commands.add_parser("budget", help=about, description=ABOUT, examples=(SET[0], SHOW[0]))
    actions = budget.add_subparsers(required=True, metavar="ACTION")
    _add_show(actions)
    _add_set(actions)
    _add_reconcile(actions)
    _add_export(actions)
    budget_prune.add(actions)
    for action in actions.choices.values():
        add_ledger(action)


def _add_show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = actions.add_parser("show", help="show budgets, or spending by oracle, model, run or day", examples=SHOW)
    show.set_defaults(run=_show)
    show.add_argument(
        "name", nargs="?", metavar="NAME", help="this budget and those within, unit by unit (default: all, a line each)"
    )
    show.add_argument(
        "--by", choices=get_args(reports.By), help="what was spent by each, instead of budgets (default: budgets)"
    )
    show.add_argument("--json", action="store_true", help="for programs")


def _add_set(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    change = actions.add_parser("set", help="make a budget, or change its caps", examples=SET)
    change.set_defaults(run=_set)
    change.add_argument("name", metavar="NAME", help="a new name, or that of a budget to change")
    change.add_argument(
        "--max-queries",
        type=_cap,
        metavar="N",
        default=argparse.SUPPRESS,
        help=f"the most queries, or none for no cap ({KEPT})",
    )
    change.add_argument(
        "--max-tokens", type=_cap, metavar="N", default=argparse.SUPPRESS, help=f"likewise, tokens ({KEPT})"
    )
    change.add_argument(
        "--max-usd", type=_cap_usd, metavar="X", default=argparse.SUPPRESS, help=f"likewise, dollars ({KEPT})"
    )
    change.add_argument("--inside", metavar="PROJECT", help="where a new budget lies: what it spends counts there too")


def _add_reconcile(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    settle = actions.add_parser(
        "reconcile",
        help="list, or settle, attempts that may have been billed without an answer",
        examples=RECONCILE,
        description="Without options: list them.",
        epilog=settlement_csv.COLUMNS,
        formatter_class=UnwrappedFormatter,
    )
    settle.set_defaults(run=_reconcile)
    settle.add_argument("--budget", metavar="NAME", help="only those in this budget and those within (default: all)")
    which = settle.add_mutually_exclusive_group()
    which.add_argument("--csv", type=Path, metavar="FILE", help="verdicts, or a vendor's usage report; see below")
    settle.add_argument("--by-sum", action="store_true", help=BY_SUM)
    which.add_argument("--attempt", type=_count, metavar="ID", help="settle this one")
    which.add_argument("--all", action="store_true", help="settle every one")
    settle.add_argument("--outcome", choices=get_args(reconcile.Ending), help="posted: billed; voided: not billed")
    settle.add_argument("--queries", type=_count, metavar="N", help=f"queries that it cost ({HELD})")
    settle.add_argument("--tokens", type=_count, metavar="N", help=f"likewise, tokens ({HELD})")
    settle.add_argument("--usd", type=_usd, metavar="X", help=f"likewise, dollars ({HELD})")


def _add_export(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = actions.add_parser("export", help="write every attempt as CSV", examples=EXPORT)
    export.set_defaults(run=_export)
    export.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default: standard output)")
    export.add_argument("--budget", metavar="NAME", help="only those in this budget and those within (default: all)")
    export.add_argument("--state", choices=get_args(reports.State), help="only those in this state (default: all)")


# --- what is typed ---


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > settlement_csv.LARGEST_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _usd(text: str) -> int:
    try:
        return money.picodollars(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _cap(text: str) -> int | None:
    return None if text == "none" else _something(text, _count(text))


def _cap_usd(text: str) -> int | None:
    return None if text == "none" else _something(text, _usd(text))


def _something(text: str, amount: int) -> int:
    if amount == 0:
        raise argparse.ArgumentTypeError(f"{text} allows nothing: give more, or 'none' for no cap")
    return amount


def _top(connection: Connection, name: str | None) -> int | None:
    return None if name is None else statements.find_budget(connection, name)


# --- show and set ---


def _show(chosen: argparse.Namespace) -> int:
    def work(connection: Connection) -> tuple[tables.Shown, int]:
        top = _top(connection, chosen.name)
        unknowns = sum(1 for _ in reports.attempts(connection, top, "unknown"))
        if chosen.by is None:
            found = reports.budgets(connection, top)
            return (tables.runs if top is None else tables.budgets)(found), unknowns
        return tables.spending(chosen.by, reports.spending(connection, chosen.by, top)), unknowns

    with Accounts() as accounts:
        shown, unknowns = accounts.read(work)
    places = {"ledger": accounts.name, "prices": str(money.user_file())}
    if chosen.json:
        print(as_json(places | shown.plain))
        return 0
    yours = "" if money.user_file().is_file() else " (not there: the package's own table holds)"
    say(f"ledger: {places['ledger']}", f"prices: {places['prices']}{yours}", "", *shown.text.split("\n"))
    if unknowns:
        say("", f"{tables.how_many(unknowns)}: see 'bbquery budget reconcile'")
    return 0


def _set(chosen: argparse.Namespace) -> int:
    changes = {unit: getattr(chosen, option) for option, unit in CAPS.items() if hasattr(chosen, option)}
    with Accounts() as accounts:
        budget, raised = accounts.write(lambda c: caps.change(c, chosen.name, changes, chosen.inside))
        itself = accounts.read(lambda c: reports.budgets(c, budget))[:1]
    print(tables.budgets(itself).text)
    for cap in raised:
        print(f"bbquery: {tables.cap_too_low(cap)}", file=sys.stderr)
    return 0


# --- reconcile ---


def _reconcile(chosen: argparse.Namespace) -> int:
    _check_reconcile(chosen)
    with Accounts() as accounts:
        if chosen.csv is not None:
            _from_csv(accounts, chosen)
        elif chosen.attempt is not None or chosen.all:
            _by_hand(accounts, chosen)
        else:
            top = accounts.read(lambda c: _top(c, chosen.budget))
            print(tables.unknowns(accounts.read(lambda c: list(reports.attempts(c, top, "unknown")))))
    return 0


def _check_reconcile(chosen: argparse.Namespace) -> None:
    by_hand = chosen.attempt is not None or chosen.all
    if by_hand and chosen.outcome is None:
        raise UsageError("say how it ended: --outcome posted (it was billed) or --outcome voided (it was not)")
    if chosen.outcome is not None and not by_hand:
        raise UsageError("--outcome says how attempts ended: name one with --attempt ID, or take --all")
    if chosen.by_sum and chosen.csv is None:
        raise UsageError("--by-sum is for a vendor's report: name it with --csv FILE")
    costs = (chosen.queries, chosen.tokens, chosen.usd)
    if chosen.attempt is None and any(cost is not None for cost in costs):
        raise UsageError("--queries, --tokens and --usd say what one attempt cost: name it with --attempt ID")


def _by_hand(accounts: Accounts, chosen: argparse.Namespace) -> None:
    def work(connection: Connection) -> list[Settled]:
        top = _top(connection, chosen.budget)
        if chosen.all:
            verdicts = reconcile.all_unknowns(connection, chosen.outcome, top)
        else:
            costs = (chosen.queries, chosen.tokens, chosen.usd)
            verdicts = [reconcile.Verdict(chosen.attempt, chosen.outcome, *costs)]
        return reconcile.settle(connection, verdicts, top)

    _print_settled(accounts.write(work))


def _from_csv(accounts: Accounts, chosen: argparse.Namespace) -> None:
    verdicts, report = settlement_csv.read(chosen.csv)
    if report and chosen.budget is not None:
        raise UsageError("a vendor's report counts every budget: leave --budget out")
    if chosen.by_sum and not report:
        raise UsageError("--by-sum is for a vendor's report, and these are verdicts: leave it out")
    if not report:
        _print_settled(accounts.write(lambda c: reconcile.settle(c, verdicts, _top(c, chosen.budget))))
        return
    comparison, settled = accounts.write(lambda c: _compare(c, report, by_sum=chosen.by_sum))
    print(tables.comparison(comparison))
    _print_settled(settled)


def _compare(connection: Connection, report: Sequence[Usage], *, by_sum: bool) -> tuple[Comparison, list[Settled]]:
    comparison = vendor.compare(connection, report, datetime.datetime.now(datetime.UTC), by_sum=by_sum)
    return comparison, reconcile.settle(connection, comparison.verdicts)


def _print_settled(settled: Sequence[Settled]) -> None:
    for each in settled[:MOST_SHOWN]:
        cost = f" at {in_words(each.cost)}" if each.outcome == "posted" else ""
        before = "were assumed" if each.assumed else "held no longer"
        print(f"attempt {each.attempt} of {each.budget}: {each.outcome}{cost}; {in_words(each.hold)} {before}")
    if len(settled) > MOST_SHOWN:
        print(f"and {len(settled) - MOST_SHOWN:,} more: 'bbquery budget export' has all of them")
    posted = [each.cost for each in settled if each.outcome == "posted"]
    ends = f": {len(posted):,} posted at {in_words(total(posted))}, {len(settled) - len(posted):,} voided"
    print(f"{len(settled):,} settled{ends if len(settled) > 1 else ''}" if settled else "nothing was settled")


# --- export ---


def _export(chosen: argparse.Namespace) -> int:
    output = standard_output() if chosen.out is None else whole_file(chosen.out)
    with Accounts() as accounts, output as write:
        count = accounts.read(lambda c: _write_attempts(c, chosen, write))
    if chosen.out is not None:
        print(f"{count} attempts in {chosen.out}")
    return 0


def _write_attempts(connection: Connection, chosen: argparse.Namespace, write: Write) -> int:
    write(_csv_line(settlement_csv.EXPORTED))
    count = 0
    for attempt in reports.attempts(connection, _top(connection, chosen.budget), chosen.state):
        write(_csv_line(tables.cells(attempt)))
        count += 1
    return count


def _csv_line(cells: Sequence[str | int]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([cell(str(each)) for each in cells])
    return line.getvalue().encode(errors="backslashreplace")
