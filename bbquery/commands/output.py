"""What commands print: aligned tables, amounts, JSON, and bytes to whoever reads standard output."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bbquery import money

if TYPE_CHECKING:
    from bbquery.report.files import Write
    from bbquery.types import Units


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """Return a table whose first `words` columns are words, set left, and the others numbers, set right."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths, words) for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int], words: int) -> str:
    cells = [
        cell.ljust(width) if place < words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def as_json(plain: Any) -> str:
    """Return what a program reads."""
    return json.dumps(plain, indent=2, ensure_ascii=False)


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


class _NobodyReads(Exception):
    """Whoever read standard output has stopped. No OSError, which within a ledger would be the ledger's."""


@contextlib.contextmanager
def standard_output() -> Iterator[Write]:
    """Give a function that writes to standard output; whoever reads it may stop early, as `head` does."""

    def write(data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
        except BrokenPipeError:
            raise _NobodyReads from None

    try:
        yield write
        sys.stdout.buffer.flush()
    except (_NobodyReads, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
