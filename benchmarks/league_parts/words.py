"""Tables of measured rows as Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .statistics import Estimate, difference, mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .rows import Table

NONE = "–"


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table, all columns but the first to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *lines)) + "\n"


def methods(table: Table, *, lowest: bool = False) -> list[str]:
    """Return the methods of a table, the best at its own largest budget first: the highest, or the lowest."""
    largest = {name: max(budget for other, budget in table if other == name) for name, _ in table}
    sign = 1 if lowest else -1
    return sorted(largest, key=lambda name: (sign * mean(table[name, largest[name]]).mean, name))


def budgets(table: Table) -> list[int]:
    """Return the budgets of a table but 0, ascending."""
    return sorted({budget for _, budget in table if budget})


def subjects(table: Table, name: str) -> int:
    """Return over how many subjects a method was measured, at the budget at which there are most."""
    return max(len(found) for (method, _), found in table.items() if method == name)


def by_budget(table: Table, digits: int = 3, *, lowest: bool = False) -> str:
    """Return means with intervals: a line a method, a column a budget; what asks nothing has its mean first.

    A mean over fewer subjects than the method's others says so. lowest: whether that is best, and comes first.
    """
    shown = budgets(table)
    lines = []
    for name in methods(table, lowest=lowest):
        most = subjects(table, name)
        found = [mean(table.get((name, budget), {})) for budget in (0, *shown)]
        cells = [estimate(one, digits) + (f", n={one.n}" if 0 < one.n < most else "") for one in found]
        lines.append([name, str(most), *cells])
    if all(line[2] == NONE for line in lines):
        return markdown(("method", "n", *map(str, shown)), [[*line[:2], *line[3:]] for line in lines])
    return markdown(("method", "n", "no queries", *map(str, shown)), lines)


def against(table: Table, reference: str, digits: int = 3) -> str:
    """Return the paired differences reference - other at equal budgets; nothing where the reference is missing.

    What asks nothing (white-box gradients, a random order) stands beside the reference at each of its budgets.
    """
    shown = [b for b in budgets(table) if (reference, b) in table]
    lines = []
    for name in methods(table):
        cells = [_difference(table, reference, name, budget, digits) for budget in shown]
        if name != reference and any(cell != NONE for cell in cells):
            lines.append([name, *cells])
    return markdown((f"{reference} minus …", *map(str, shown)), lines) if lines else ""


def against_one(table: Table, other: tuple[str, int], digits: int = 3) -> str:
    """Return the paired differences of every method at every budget to one method at one budget, with their ratios."""
    if other not in table:
        return ""
    lines = []
    for name in methods(table):
        for budget in [b for b in budgets(table) if (name, b) in table and (name, b) != other]:
            mine, theirs = table[name, budget], table[other]
            both = mine.keys() & theirs.keys()
            ratio = mean({s: mine[s] for s in both}).mean / mean({s: theirs[s] for s in both}).mean
            found = difference(mine, theirs)
            lines.append([name, str(budget), estimate(found, digits, signed=True), str(found.n), f"{ratio:.2f}"])
    return markdown((f"… minus {other[0]} at {other[1]}", "queries", "difference", "n", "ratio of means"), lines)


def _difference(table: Table, reference: str, name: str, budget: int, digits: int) -> str:
    other = table.get((name, budget)) or table.get((name, 0))
    if other is None:
        return NONE
    found = difference(table[reference, budget], other)
    return f"{estimate(found, digits, signed=True)}, n={found.n}" if found.n else NONE


def estimate(found: Estimate, digits: int, *, signed: bool = False) -> str:
    """Return a mean as text, with its interval where there is one. signed: a difference, bold where 0 is outside."""
    if not found.n:
        return NONE
    if not signed:
        return found.told(digits)
    if math.isnan(found.low):
        return f"{found.mean:+.{digits}f}"
    told = f"{found.mean:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"
    return f"**{told}**" if found.low > 0 or found.high < 0 else told
