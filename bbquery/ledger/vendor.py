"""Comparison of a vendor's usage report with the ledger, per model and time window, and what it proves about unknowns.

What was reported beyond what was posted is the difference. It settles the unknowns of a window in two cases only:

1. The difference is zero in every unit that is reported: none of them was billed. All are voided.
2. It is as many queries as they hold, and within their holds in every other unit: all of them were billed. All are
   posted. Where they lie in one budget they cost the difference, in even shares (the vendor does not say who cost
   what, and the budget's sum is right); where they do not, only a difference of exactly what they hold is unambiguous.

A report that leaves any window of a model unexplained settles nothing of that model: a query sent just before midnight
may be billed after it, and the error of one day hides in the next. So does anything still in flight, a report without
counts of queries, a window that ended so recently that the report may lag, and an attempt in it that was recorded while
this machine's clock was moved, so that it may belong to another day. The account's other users make
differences larger, never smaller: they may keep unknowns from being voided, or have them posted, but never the reverse.
Rehearsals, that is attempts at servers on this machine, are no part of a vendor's report and left out.
"""

from __future__ import annotations

import bisect
import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.ledger import reports
from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.statements import UNITS
from bbquery.money import undated
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.ledger.connection import Connection

LAG = datetime.timedelta(days=1)  # vendors say that reports may be delayed, not by how much


@dataclass(frozen=True)
class Usage:
    """A vendor's report on a model from `start` to before `end`. units: those it counts; the others are zero."""

    model: str
    start: datetime.datetime
    end: datetime.datetime
    amount: Units
    units: tuple[str, ...]


@dataclass
class Window:
    """A model's time from a report, and what the ledger has of it.

    doubtful: attempts whose recorded time cannot be right. conclusion: for people.
    """

    usage: Usage
    posted: Units = field(default_factory=Units)
    unknowns: list[reports.Attempt] = field(default_factory=list)
    in_flight: int = 0
    doubtful: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    conclusion: str = ""

    @property
    def difference(self) -> Units:
        """Usage reported beyond what was posted; negative if less was reported."""
        return self.usage.amount.plus(self.posted.times(-1))

    @property
    def held(self) -> Units:
        """Amount held by its unknowns."""
        held = Units()
        for attempt in self.unknowns:
            held = held.plus(attempt.hold)
        return held


@dataclass(frozen=True)
class Comparison:
    """A report beside the ledger. outside: unknowns whose model or time it does not cover."""

    windows: list[Window]
    outside: list[reports.Attempt]

    @property
    def verdicts(self) -> list[Verdict]:
        """Verdicts that the report proves."""
        return [verdict for window in self.windows for verdict in window.verdicts]


def compare(connection: Connection, report: Sequence[Usage], now: datetime.datetime) -> Comparison:
    """Put a report beside the ledger and conclude. Only reads.

    Attempts count by when they were sent, and models without the date of a snapshot, under the name that
    `bbquery budget show --by model` gives them.

    Raises:
        UsageError: two windows of a model overlap, so that attempts would count twice.
    """
    shelves = _shelves(report)
    outside = []
    doubtful = reports.doubtful(connection, now)
    for attempt in reports.attempts(connection):
        if attempt.oracle.rehearsed:
            continue
        window = _find(shelves.get(undated(attempt.oracle.model), []), attempt.opened)
        if window is not None:
            _count(window, attempt, certain=attempt.id not in doubtful)
        elif attempt.state == "unknown":
            outside.append(attempt)
    for windows in shelves.values():
        _conclude(windows, now)
    return Comparison([window for model in sorted(shelves) for window in shelves[model]], outside)


def _count(window: Window, attempt: reports.Attempt, *, certain: bool) -> None:
    if attempt.state == "posted":
        window.posted = window.posted.plus(attempt.cost or Units())
    elif attempt.state == "unknown":
        window.unknowns.append(attempt)
    elif attempt.state == "open":
        window.in_flight += 1
    window.doubtful += not certain and attempt.state != "voided"


def _shelves(report: Sequence[Usage]) -> dict[str, list[Window]]:
    """Return the windows of each model in order; rows of one window are summed (a vendor lists projects and keys)."""
    summed: dict[tuple[str, datetime.datetime, datetime.datetime], Usage] = {}
    for usage in report:
        model = undated(usage.model)
        place = (model, usage.start, usage.end)
        before = summed[place].amount if place in summed else Units()
        summed[place] = Usage(model, usage.start, usage.end, before.plus(usage.amount), usage.units)
    shelves: dict[str, list[Window]] = {}
    for (model, start, _), usage in sorted(summed.items()):
        windows = shelves.setdefault(model, [])
        if windows and start < windows[-1].usage.end:
            raise UsageError(f"two rows of {model} overlap at {start.isoformat()}: what is in both would count twice")
        windows.append(Window(usage))
    return shelves


def _find(windows: list[Window], opened: str) -> Window | None:
    """Return the window of this time, if one has it."""
    time = datetime.datetime.fromisoformat(opened)
    place = bisect.bisect_right(windows, time, key=lambda window: window.usage.start) - 1
    return windows[place] if place >= 0 and time < windows[place].usage.end else None


def _conclude(windows: list[Window], now: datetime.datetime) -> None:
    """Decide for the windows of one model: all, or nothing."""
    proved = [_proved(window, now) for window in windows]
    explained = all(verdicts is not None for verdicts, _ in proved)
    for window, (verdicts, conclusion) in zip(windows, proved, strict=True):
        window.conclusion = conclusion
        if verdicts and explained:
            window.verdicts = verdicts
        elif verdicts:
            window.conclusion += "; left unsettled, since another window of this model is not explained"


def _proved(window: Window, now: datetime.datetime) -> tuple[list[Verdict] | None, str]:
    """Return verdicts with what they mean; None instead of them where the window is not explained."""
    agrees = not any(getattr(window.difference, unit) for unit in window.usage.units)
    unsure = _unsure(window)
    if unsure:
        return None, unsure
    if not window.unknowns:
        return ([], "agrees") if agrees else (None, "differs, and no unknown explains it")
    if "queries" not in window.usage.units:
        return None, "not conclusive: the report counts no queries"
    if now < window.usage.end + LAG:
        return None, "not conclusive: the window ended less than a day ago, and reports lag"
    if agrees:
        return [Verdict(u.id, "voided") for u in window.unknowns], "agrees if no unknown was billed"
    return _billed(window)


def _unsure(window: Window) -> str:
    """Return why it is not known what was sent in a window; "" where it is."""
    if window.in_flight:
        return f"not yet comparable: {window.in_flight} still in flight"
    if window.doubtful:
        return f"not conclusive: the clock was moved, so {window.doubtful} of its attempts may be of another time"
    return ""


def _billed(window: Window) -> tuple[list[Verdict] | None, str]:
    """Return verdicts where all unknowns must have been billed."""
    reported = [(getattr(window.difference, u), getattr(window.held, u)) for u in window.usage.units]
    if window.difference.queries != window.held.queries or not all(0 <= more <= held for more, held in reported):
        return None, "differs"
    if len({u.budget for u in window.unknowns}) == 1:
        return list(_shares(window)), "agrees if every unknown was billed"
    if all(more == held for more, held in reported):
        return [Verdict(u.id, "posted") for u in window.unknowns], "agrees if every unknown was billed as held"
    return None, "agrees if every unknown was billed, but not at how much in which budget"


def _shares(window: Window) -> Iterator[Verdict]:
    """Yield verdicts that share the difference evenly; the first ones take what does not divide."""
    count = len(window.unknowns)
    for place, attempt in enumerate(window.unknowns):
        costs = {}
        for unit in UNITS:
            share, rest = divmod(getattr(window.difference, unit), count)
            costs[unit] = share + (place < rest) if unit in window.usage.units else None
        yield Verdict(attempt.id, "posted", **costs)
