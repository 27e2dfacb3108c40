"""Options that several commands share: caps, a project, drift checks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.client import waiting
from bbquery.commands import consent
from bbquery.commands.output_folder import add_out
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import UsageError
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.jobs.spare import ONE_IN
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from bbquery.jobs.watch import Watch

SHARED = ("image", "oracle", "project", "spare", "drift_every", "seed", "longest_wait")
"""What is called alike on the command line and in a `bbquery.jobs.request.Request`."""


def add_image(command: argparse._ActionsContainer) -> None:
    """Declare the photo."""
    command.add_argument("image", metavar="IMAGE", help="a photo, or sample:NAME (sample:cat)")


def add_oracle(command: argparse._ActionsContainer, *, required: bool = False) -> None:
    """Declare the model. required: whether it must be named."""
    usual = "" if required else f" (default: {DEFAULT_ORACLE}, in this process)"
    what = f"model to ask; see 'bbquery list oracles'{usual}"
    default = None if required else DEFAULT_ORACLE
    command.add_argument("--oracle", required=required, default=default, metavar="NAME[:key=value,…]", help=what)


def add_log(command: argparse._ActionsContainer) -> None:
    """Declare the log file."""
    command.add_argument("--log", type=Path, metavar="FILE", help="append a log to a file, one JSON object a line")


def add_run(command: argparse._ActionsContainer, out: str) -> None:
    """Declare how it is run: or only estimated, with consent, from a seed, into a folder. out: its default name."""
    command.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    consent.add_yes(command)
    command.add_argument("--seed", type=_seed, default=0, metavar="S", help="decides every random choice")
    add_out(command, out)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def add_further_caps(command: argparse._ActionsContainer, what: str = "a further cap") -> None:
    """Declare the caps beside that of queries."""
    command.add_argument("--max-tokens", type=int, metavar="N", help=f"{what}, in tokens")
    command.add_argument("--max-usd", metavar="X", help=f"{what}, in dollars")


def add_project(command: argparse._ActionsContainer) -> None:
    """Declare the budget that a run counts in too."""
    command.add_argument(
        "--project", metavar="NAME", help="a budget, made by 'bbquery budget set', that the run counts in too"
    )


def check_project(chosen: argparse.Namespace) -> None:
    """See, before anything is asked or written, that the project exists.

    Raises:
        UnknownName: it does not; says how to make it.
    """
    if chosen.project is not None:
        with Ledger() as ledger:
            ledger.find_budget(chosen.project)


def add_spare(command: argparse._ActionsContainer) -> None:
    """Declare how many queries are kept for lost ones."""
    what = (
        "queries of the budget kept for those that are lost: billed perhaps, without an answer"
        f" (default: one in {ONE_IN})"
    )
    command.add_argument("--spare", type=int, metavar="N", help=what)


def add_drift(command: argparse._ActionsContainer) -> None:
    """Declare how often drift is looked for."""
    command.add_argument(
        "--drift-every",
        type=int,
        default=DEFAULT_EVERY,
        metavar="N",
        help="queries between checks that a remote model stays the same, 0 for none",
    )


def add_longest_wait(command: argparse._ActionsContainer) -> None:
    """Declare how long the run waits for an oracle that asks to be left alone."""
    default = waiting.in_words(waiting.LONGEST_WAIT)
    command.add_argument(
        "--longest-wait",
        type=_seconds,
        metavar="T",
        help="how long the run waits for an oracle that asks to be left alone, in seconds or such as 15m, 6h, 1d; a"
        f" longer wait ends it like a used-up quota (default: {default})",
    )


def _seconds(text: str) -> float:
    try:
        return waiting.read(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def cap(chosen: argparse.Namespace, kind: str = "") -> Cap:
    """Return the caps that were typed. kind: how their names end, "" for those of a run.

    Raises:
        UsageError: one that cannot be used.
    """
    queries, tokens, usd = (getattr(chosen, f"max_{unit}{kind}") for unit in ("queries", "tokens", "usd"))
    return Cap.stated(queries, tokens, usd)


def shared(chosen: argparse.Namespace, watch: Watch | None) -> dict[str, Any]:
    """Return what was typed that any request takes, and who hears of the run."""
    return {name: getattr(chosen, name) for name in SHARED if name in chosen} | {"cap": cap(chosen), "watch": watch}
