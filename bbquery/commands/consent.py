"""Consent before money is spent: a run that costs money and has no cap in dollars shows its worst case, and asks.

A cap in dollars is agreement: of the run, of each of its images, or of the project that it counts in. So is --yes,
which scripts give. What costs nothing never asks, but an attack, which needs consent whatever it costs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bbquery.commands.output import NOTHING_ASKED, say, warn
from bbquery.errors import UsageError
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.projects import capped_in_dollars
from bbquery.money import dollars

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from bbquery.ledger.records import Cap
    from bbquery.units import Units

YES = "yes"
CAPPED = "this run may cost up to ${worst} and has no cap in dollars"
AGREE = "give it one with --max-usd, or agree to the worst case with --yes"


def add_yes(command: argparse._ActionsContainer) -> None:
    """Declare how scripts agree."""
    command.add_argument("--yes", action="store_true", help="agree to the worst case beforehand, as scripts must")


def agreed(
    chosen: argparse.Namespace, caps: Sequence[Cap], worst: Units, estimated: Callable[[], Sequence[str]]
) -> None:
    """Check, before anything is asked or written, that the project exists and that the payer agrees to the worst case.

    caps: of the run and of its parts. worst: of the whole run. estimated: says what it would cost, for people.

    Raises:
        UsageError: there is no such project; nobody is there to be asked, or they do not agree.
    """
    project = chosen.project is not None and _capped(chosen.project)
    if chosen.yes or not worst.picodollars or project or any(cap.picodollars is not None for cap in caps):
        return
    message = CAPPED.format(worst=dollars(worst.picodollars))
    ask([f"T{message[1:]}. It sends at most:", *estimated()], f"{message}: {AGREE}")


def ask(lines: Sequence[str], refusal: str) -> None:
    """Show lines, and let a person agree to them.

    Raises:
        UsageError: nobody is there to be asked, for which `refusal` says what to do; or they do not agree.
    """
    shown = [line for line in lines if line != NOTHING_ASKED]  # which would read as an answer to the question
    if not sys.stdin.isatty():
        warn(*(line for line in shown if line not in refusal))  # which is printed too
        raise UsageError(refusal)
    say(*shown)
    try:
        said = input(f"Type {YES} to go on: ")
    except EOFError:
        said = ""
    if said.strip().lower() != YES:
        raise UsageError("not agreed to, so nothing was asked")


def _capped(project: str) -> bool:
    with Ledger() as ledger:
        return capped_in_dollars(ledger, project)
