"""Output of commands: aligned tables, amounts, JSON, and bytes on standard output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bbquery import money
from bbquery.report.spent import spent
from bbquery.shown import SafeStream, shown

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.client.client import QueryCounts
    from bbquery.images.placement import Placement
    from bbquery.jobs.estimate import Estimate
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.report.files import Write
    from bbquery.units import Units


MOST_UNKNOWN = 3  # attempts named to people, of those that may have been billed
NOTHING_ASKED = "nothing was asked"
"""The last line of an estimate, where that is all there is."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> list[str]:
    """Return the lines of a table whose first `words` columns are words, set left, the others numbers, set right."""
    lines = [tuple(map(shown, line)) for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [_aligned(line, widths, words) for line in lines]


def _aligned(line: Sequence[str], widths: Sequence[int], words: int) -> str:
    cells = [
        cell.ljust(width) if place < words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def say(*lines: str) -> None:
    """Print lines on standard output; what is quoted in one cannot begin another."""
    print(*map(shown, lines), sep="\n")


def warn(*lines: str) -> None:
    """Print lines on standard error, after the name of the program."""
    for line in lines:
        print(f"bbquery: {shown(line)}", file=sys.stderr)


def near(path: Path) -> str:
    """Return a path as from the current folder, where that is shorter."""
    try:
        return min(os.path.relpath(path), str(path), key=len)
    except (OSError, ValueError):  # the current folder is gone, or on another drive
        return str(path)


def amounts(units: Units) -> dict[str, int | str]:
    """Return an amount for a program: counts as numbers, dollars as exact text."""
    return {"queries": units.queries, "tokens": units.tokens, "usd": money.dollars(units.picodollars)}


def in_words(units: Units) -> str:
    """Return an amount for people: what is zero is left out."""
    said = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in ((units.queries, "query", "queries"), (units.tokens, "token", "tokens"))
        if count
    ]
    if units.picodollars:
        said.append(f"${money.dollars(units.picodollars)}")
    return ", ".join(said) or "nothing"


def counted(tally: QueryCounts) -> str:
    """Return the numbers of a run's queries."""
    said = f"{tally.asked} asked, {tally.sent} sent, {tally.from_store} from the store, {tally.unknown} unknown"
    retries = tally.sent - (tally.asked - tally.from_store)
    if retries > 0:
        said += f"; {retries} sent again, since a first try brought no answer"
    elif retries < 0:
        said += f"; {-retries} not sent"
    if tally.unreadable:
        said += f"; {tally.unreadable} paid {'answer' if tally.unreadable == 1 else 'answers'} could not be read"
    if tally.paid_again:
        said += f", {tally.paid_again} of these queries were paid again"
    if left := tally.unreadable - tally.paid_again:
        said += f", {left} stay without an answer until a rerun"
    return said


def held(unknown: Sequence[UnknownAttempt]) -> list[str]:
    """Return which attempts may have been billed without an answer, a line each; nothing where none may."""
    if not unknown:
        return []
    some = f"{len(unknown)} queries" if len(unknown) > 1 else "1 query"
    lines = [f"  attempt {each.attempt} of {each.opened}: {each.reason}" for each in unknown[:MOST_UNKNOWN]]
    more = len(unknown) - len(lines)
    return [
        f"{some} of this run may have been billed without an answer, so what they may cost stays held "
        "('bbquery budget reconcile' settles them):",
        *lines,
        *([f"  and {more} more"] if more > 0 else []),
    ]


def written_and_spent(written: Sequence[Path], budget: BudgetState, queries: QueryCounts) -> list[str]:
    """Return the last lines of a command that asked: its files, what was spent, and the page to open.

    written: the page last.
    """
    *files, page = map(str, written)
    return [*files, spent(budget, queries.from_store, queries.sent), page]


def estimated(found: Estimate, source: str) -> list[str]:
    """Return what a run would cost, a line each. source: where the prices are from, empty where there are none."""
    expected, worst = (money.dollars(amount.picodollars) for amount in (found.expected, found.worst))
    duration = "unknown: no limits are known" if found.seconds is None else f"at least {found.seconds:,.0f} seconds"
    return [
        f"queries      {found.queries:,} at most, stored answers and retries not counted",
        f"tokens       {found.expected.tokens:,} expected, {found.worst.tokens:,} at worst",
        f"dollars      {expected} expected, {worst} at worst",
        f"prices       {source or 'none'}",
        f"time         {duration}",
        NOTHING_ASKED,
    ]


def warn_of(placement: Placement, name: str = "") -> None:
    """Warn, before anything is asked, of the part of a photo that the model is not shown. name: which, of several."""
    if placement.warning:
        print(f"bbquery: BEWARE: {name}{': ' if name else ''}{placement.warning}", file=sys.stderr)


@contextlib.contextmanager
def standard_output() -> Iterator[Write]:
    """Yield a function that writes to standard output; what cannot be written is dropped (see `SafeStream`)."""
    out = sys.stdout if isinstance(sys.stdout, SafeStream) else SafeStream(sys.stdout)
    yield out.write_bytes
    out.flush()
