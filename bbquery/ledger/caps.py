"""Creating budgets and changing their caps by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.ledger import statements
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bbquery.ledger.connection import Connection


@dataclass(frozen=True)
class Raised:
    """A cap that was asked to lie below what is spent already, and became that instead."""

    unit: str
    asked: int
    posted: int
    held: int


def change(
    connection: Connection, name: str, caps: Mapping[str, int | None], inside: str | None
) -> tuple[int, list[Raised]]:
    """Make the budget `name` (inside another, if one is named), or change the caps that are given of it.

    caps: by unit; None is no cap. Return the budget's id, and the caps that what is spent did not allow.

    Raises:
        UsageError: it exists elsewhere, a cap allows nothing, there is no budget `inside`, or the name cannot be read.
    """
    if not name.strip() or not name.isprintable():
        raise UsageError(f"{name!r} is no name for a budget: choose one that people can read")
    parent = None if inside is None else statements.find_budget(connection, inside)
    row = connection.execute("SELECT id, parent FROM budget WHERE name = ?", (name,)).fetchone()
    if row is None:
        return statements.open_budget(connection, name, Cap(**caps), parent), []
    budget, above = row
    if inside is not None and above != parent:
        raise UsageError(f"budget {name!r} {_place(connection, above)} and cannot move: its past counts there")
    before = statements.state(connection, budget)
    merged = {unit: getattr(before.cap, unit) for unit in statements.UNITS} | dict(caps)
    statements.open_budget(connection, name, Cap(**merged), above)
    spent = [(u, cap, getattr(before.posted, u), getattr(before.held, u)) for u, cap in caps.items() if cap is not None]
    return budget, [Raised(*each) for each in spent if each[1] < each[2] + each[3]]


def _place(connection: Connection, above: int | None) -> str:
    if above is None:
        return "lies in no other"
    return f"lies in {statements.state(connection, above).name!r}"
