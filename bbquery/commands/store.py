"""`bbquery store`: export, import and verify paid answers."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.commands import store_prune
from bbquery.commands.ledger import add_ledger
from bbquery.errors import StorageFailed, UsageError
from bbquery.ledger import statements, store_files, store_repair
from bbquery.ledger.accounts import Accounts
from bbquery.report.files import whole_file

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection
    from bbquery.ledger.store_lines import Header

ABOUT = "Every answer that was paid for is kept on this machine, and is never asked or paid again."
EXPORT = ("bbquery store export answers.jsonl", "bbquery store export answers.jsonl --oracle efficientnet-lite0")
IMPORT = (
    "bbquery store export answers.jsonl && bbquery store import answers.jsonl",
    "bbquery store import answers.jsonl",
)
VERIFY = ("bbquery store verify", "bbquery store verify --repair")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    about = "export, import, verify and prune paid answers"
    store = commands.add_parser("store", help=about, description=ABOUT, examples=(VERIFY[0], EXPORT[0]))
    actions = store.add_subparsers(required=True, metavar="ACTION")
    export = actions.add_parser("export", help="write answers to a file that can be published", examples=EXPORT)
    export.set_defaults(run=_export)
    export.add_argument("file", type=Path, metavar="FILE", help="where to write them, one a line")
    export.add_argument(
        "--oracle",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only of these oracles: name, model or fingerprint (default: all)",
    )
    export.add_argument(
        "--run", dest="budget", metavar="NAME", help="only what this budget, or one within, paid for (default: all)"
    )
    taking = actions.add_parser("import", help="add the answers of such a file", examples=IMPORT)
    taking.set_defaults(run=_import)
    taking.add_argument("file", type=Path, metavar="FILE", help="what 'bbquery store export' wrote")
    verify = actions.add_parser("verify", help="check the store, or such a file", examples=VERIFY)
    verify.set_defaults(run=_verify)
    verify.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="a file to check (default: the store itself)"
    )
    verify.add_argument(
        "--repair",
        action="store_true",
        help="set damaged answers of the store aside into a file; runs then ask them, and pay for them, once more",
    )
    store_prune.add(actions)
    for action in actions.choices.values():
        add_ledger(action)


def _export(chosen: argparse.Namespace) -> int:
    with Accounts() as accounts, whole_file(chosen.file) as write:

        def work(connection: Connection) -> Header:
            top = None if chosen.budget is None else statements.find_budget(connection, chosen.budget)
            return store_files.export(connection, write, chosen.oracle, top)

        written = accounts.read(work)
    print(f"{_contents(written.answers, written.oracles)} in {chosen.file}")
    return 0


def _import(chosen: argparse.Namespace) -> int:
    _check_file(chosen.file, "nothing was imported")  # before the ledger is kept from others
    with Accounts() as accounts:
        done = accounts.write(lambda c: store_files.import_file(c, chosen.file))
    print(f"{done.added} answers added, {done.known} were there already")
    if done.different:
        keys = "\n  ".join(done.examples)
        print(
            f"bbquery: {done.different} answers differ from the store's own, which were kept; the first:\n  {keys}",
            file=sys.stderr,
        )
    return 0


def _verify(chosen: argparse.Namespace) -> int:
    if chosen.file is not None and chosen.repair:
        raise UsageError("--repair is for the store itself: leave out FILE, or get that file anew where it is from")
    if chosen.file is not None:
        print(_check_file(chosen.file, "do not rely on it"))
        return 0
    with Accounts() as accounts:
        if chosen.repair:
            _repair(accounts)
        checked = accounts.read(store_files.verify_store)
    if checked.bad:
        advice = "'bbquery store verify --repair' sets damaged answers aside, to be asked and paid for once more"
        raise StorageFailed(f"the store in {accounts.name} has {checked.summary()}\n{advice}")
    print(f"{_contents(checked.answers, checked.oracles)} in {accounts.name}: all sound")
    return 0


def _repair(accounts: Accounts) -> None:
    """Move damaged answers to a file; print where, and what can only be repaired by asking again."""
    damaged = accounts.read(store_repair.find)
    if damaged.answers:
        stamp = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"
        aside = accounts.path.with_name(f"{accounts.path.name}.damaged-{stamp}.jsonl")
        with whole_file(aside) as write:
            accounts.read(lambda c: store_repair.write_aside(c, damaged, write))
        count = accounts.write(lambda c: store_repair.remove(c, list(damaged.answers)))
        print(f"{count} damaged answer{'s' * (count != 1)} set aside into {aside}: whoever needs them asks them again,")
        print("and pays for them again; what they cost before stays posted")
    for fingerprint in damaged.oracles:
        print(f"the identity of oracle {fingerprint} is damaged: the next run that asks this oracle writes it anew")


def _check_file(path: Path, consequence: str) -> str:
    checked = store_files.verify_file(path)
    if checked.bad:
        raise UsageError(f"{path} has {checked.summary()}\n{consequence}")
    return f"{_contents(checked.answers, checked.oracles)} in {path}: all sound"


def _contents(answers: int, oracles: int) -> str:
    return f"{answers} answer{'s' * (answers != 1)} of {oracles} oracle{'s' * (oracles != 1)}"
