"""Tables of budgets, spending and unknowns, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.commands.output import amounts, in_words, table
from bbquery.ledger.statements import UNITS
from bbquery.money import dollars

if TYPE_CHECKING:
    from bbquery.ledger.caps import Raised
    from bbquery.ledger.reports import Attempt, Branch, By, Spending
    from bbquery.ledger.usage import Window
    from bbquery.ledger.vendor import Comparison
    from bbquery.units import Units

NAMES = {"queries": "queries", "tokens": "tokens", "picodollars": "dollars"}
OPTIONS = {"queries": "--max-queries", "tokens": "--max-tokens", "picodollars": "--max-usd"}
INDENT = "  "
MOST_NAMED = 2  # oracles of a budget


@dataclass(frozen=True)
class Shown:
    """The same for people and for programs."""

    text: str
    plain: dict[str, Any]


def _amount(unit: str, amount: int | None) -> str:
    """Return an amount of a unit for people; "-" for none."""
    if amount is None:
        return "-"
    return dollars(amount) if unit == "picodollars" else str(amount)


# --- budgets ---

NO_BUDGETS = "no budgets yet: 'bbquery explain' makes one for each run"


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int, none: str) -> str:
    """Return a table as text, or what to say where there is `none`."""
    return "\n".join(table(header, rows, words=words)) if rows else none


def budgets(branches: Sequence[Branch]) -> Shown:
    """Return budgets as a tree, a line for each unit that is capped or was used."""
    least = min((branch.depth for branch in branches), default=0)
    rows = [row for branch in branches for row in _rows(branch, branch.depth - least)]
    header = ("budget", "unit", "posted", "held", "left", "cap")
    return Shown(_lines(header, rows, words=2, none=NO_BUDGETS), {"budgets": [_plain(branch) for branch in branches]})


def runs(branches: Sequence[Branch]) -> Shown:
    """Return budgets as a tree with a line each: when it was last used, its image, whom it asked, what it spent."""
    rows = [_run(branch) for branch in branches]
    header = ("budget", "last used", "image", "oracle", "queries", "dollars", "held")
    return Shown(_lines(header, rows, words=4, none=NO_BUDGETS), {"budgets": [_plain(branch) for branch in branches]})


def _run(branch: Branch) -> tuple[str, ...]:
    state, more = branch.state, len(branch.oracles) - MOST_NAMED
    oracles = ", ".join(branch.oracles[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    units = ("queries", "picodollars")
    spent = (_of_cap(unit, getattr(state.posted, unit), getattr(state.cap, unit)) for unit in units)
    held = in_words(state.held) if any(state.held.amounts) else "-"
    when = branch.used[:16].replace("T", " ") or "-"
    return INDENT * branch.depth + state.name, when, branch.about or "-", oracles or "-", *spent, held


def _of_cap(unit: str, spent: int, cap: int | None) -> str:
    """Return what was spent of what is allowed: "98 of 100"; "-" for nothing of no cap."""
    if cap is None:
        return _amount(unit, spent or None)
    return f"{_amount(unit, spent)} of {_amount(unit, cap)}"


def _rows(branch: Branch, depth: int) -> list[tuple[str, ...]]:
    used = [unit for unit in UNITS if any(amount for amount in _of(branch, unit))] or ["queries"]
    names = [INDENT * depth + branch.state.name] + [""] * len(used)
    return [
        (name, NAMES[unit], *(_amount(unit, amount) for amount in _of(branch, unit)))
        for name, unit in zip(names, used, strict=False)
    ]


def _of(branch: Branch, unit: str) -> tuple[int, int, int | None, int | None]:
    """Return posted, held, left and cap of a unit."""
    state = branch.state
    posted, held, cap = getattr(state.posted, unit), getattr(state.held, unit), getattr(state.cap, unit)
    return posted, held, None if cap is None else cap - posted - held, cap


def _plain(branch: Branch) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": branch.state.name,
        "inside": branch.inside,
        "image": branch.about or None,
        "last_used": branch.used or None,
        "oracles": list(branch.oracles),
    }
    for unit in UNITS:
        stated = dict(zip(("posted", "held", "left", "cap"), _of(branch, unit), strict=True))
        if unit == "picodollars":
            plain["usd"] = {kind: None if amount is None else dollars(amount) for kind, amount in stated.items()}
        else:
            plain[unit] = stated
    return plain


def cap_too_low(cap: Raised) -> str:
    """Return why a cap is not what was asked for."""
    asked, posted, held = (_amount(cap.unit, amount) for amount in (cap.asked, cap.posted, cap.held))
    spent = _amount(cap.unit, cap.posted + cap.held)
    again = f"; what of the held is released may be sent again: then set {OPTIONS[cap.unit]} anew" if cap.held else ""
    return (
        f"{asked} {NAMES[cap.unit]} is below what is spent ({posted} posted, {held} held), so the cap is {spent}, "
        f"and nothing more may be sent{again}"
    )


# --- spending ---


def spending(by: By, rows: Sequence[Spending]) -> Shown:
    """Return attempts by how they ended, their cost and what is held, a line for each label."""
    header = (by, "posted", "voided", "unknown", "in flight", "tokens", "dollars", "held tokens", "held dollars")
    lines = [
        (
            *(row.label, str(row.posted), str(row.voided), str(row.unknown), str(row.open)),
            *(str(row.cost.tokens), dollars(row.cost.picodollars)),
            *(str(row.held.tokens), dollars(row.held.picodollars)),
        )
        for row in rows
    ]
    return Shown(
        _lines(header, lines, words=1, none="nothing was sent yet"),
        {"by": by, "spending": [_plain_spending(row) for row in rows]},
    )


def _plain_spending(row: Spending) -> dict[str, Any]:
    counts = {"posted": row.posted, "voided": row.voided, "unknown": row.unknown, "in_flight": row.open}
    return {"label": row.label, "attempts": counts, "cost": amounts(row.cost), "held": amounts(row.held)}


# --- unknowns ---


def how_many(count: int) -> str:
    """Return how many attempts are unknown, for people."""
    return (
        f"{count} attempts may have been billed without an answer, so what they may have cost stays held"
        if count != 1
        else "1 attempt may have been billed without an answer, so what it may have cost stays held"
    )


def unknowns(attempts: Sequence[Attempt]) -> str:
    """List unknowns, and say how to settle them."""
    if not attempts:
        return "nothing is unknown: every attempt was answered, or was certainly not billed"
    header = ("attempt", "sent", "budget", "model", "held", "reason")
    rows = [
        (str(a.id), a.opened[:19], a.budget, a.oracle.model, in_words(a.hold), " ".join(a.reason.split()))
        for a in attempts
    ]
    return "\n".join((f"{how_many(len(attempts))}.", "", *table(header, rows, words=6), "", _HOW_TO_SETTLE))


_HOW_TO_SETTLE = """\
Look into the vendor's usage report, then settle them:
  bbquery budget reconcile --attempt ID --outcome voided               it was not billed
  bbquery budget reconcile --attempt ID --outcome posted --usd 0.0021  it was, at this cost (or as held)
  bbquery budget reconcile --all --outcome posted                      all were (--budget NAME: all in it)
  bbquery budget reconcile --csv FILE                                  verdicts, or a vendor's report: see --help"""


# --- a vendor's report ---


def comparison(found: Comparison) -> str:
    """Return a vendor's report beside the ledger, a line for each unit that it counts."""
    header = ("from", "model", "unit", "vendor", "posted", "difference", "unknown")
    rows = [row for window in found.windows for row in _compared(window)]
    concluded = [f"{_when(window)} {_whose(window)}: {window.conclusion}" for window in found.windows]
    if found.outside:
        concluded.append(f"{len(found.outside)} unknown attempts are of models or times that the report does not cover")
    return "\n".join((*table(header, rows, words=3), "", *concluded))


def _compared(window: Window) -> list[tuple[str, ...]]:
    sides: tuple[Units, ...] = (window.usage.amount, window.posted, window.difference, window.held)
    return [
        (_when(window), _whose(window), NAMES[unit], *(_amount(unit, getattr(side, unit)) for side in sides))
        for unit in window.usage.units
    ]


def _whose(window: Window) -> str:
    return " at ".join(filter(None, (window.usage.model, window.usage.server)))


def _when(window: Window) -> str:
    return window.usage.start.strftime("%Y-%m-%d" if window.usage.start.hour == 0 else "%Y-%m-%dT%H:%M")


# --- export ---


def cells(attempt: Attempt) -> tuple[str | int, ...]:
    """Return an attempt in the columns of `settlement_csv.EXPORTED`; what it cost is empty while that is unknown."""
    cost = ("", "", "") if attempt.cost is None else _exact(attempt.cost)
    return (
        *(attempt.id, attempt.key.hex(), attempt.budget),
        *(attempt.oracle.name, attempt.oracle.fingerprint, attempt.oracle.model),
        *(attempt.state, attempt.reason, *_exact(attempt.hold), *cost, attempt.opened, attempt.closed),
    )


def _exact(units: Units) -> tuple[int, int, str]:
    return units.queries, units.tokens, dollars(units.picodollars)
