"""Comparison of a vendor's usage report with the ledger, per model and time window.

What was reported beyond what was posted is the difference; what it proves about unknowns says `bbquery.ledger.proof`.
Rehearsals, that is attempts at servers on this machine, are no part of a vendor's report and left out. A report that
names its server, as the servers to rehearse with give one, is compared with what was sent there, and with nothing else.
"""

from __future__ import annotations

import bisect
import datetime
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from bbquery.errors import UsageError
from bbquery.ledger import proof, reports
from bbquery.ledger.usage import Usage, Window
from bbquery.money import undated
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.reconcile import Verdict

Key: TypeAlias = tuple[str, str]
"""Server and model."""


@dataclass(frozen=True)
class Comparison:
    """A report beside the ledger. outside: unknowns whose model or time it does not cover."""

    windows: list[Window]
    outside: list[reports.Attempt]

    @property
    def verdicts(self) -> list[Verdict]:
        """Verdicts that the report proves."""
        return [verdict for window in self.windows for verdict in window.verdicts]


def compare(connection: Connection, report: Sequence[Usage], now: datetime.datetime, *, by_sum: bool) -> Comparison:
    """Put a report beside the ledger and conclude. Only reads.

    Attempts count by when they were sent, and models without the date of a snapshot, under the name that
    `bbquery budget show --by model` gives them. by_sum: settle also where it is not known which ones were billed.

    Raises:
        UsageError: two windows of a model overlap, so that attempts would count twice.
    """
    shelves = _shelves(report)
    if by_sum:
        shelves = {key: _joined(windows) for key, windows in shelves.items()}
    outside = []
    doubtful = reports.doubtful(connection, now)
    for attempt in reports.attempts(connection):
        window = _find(_shelf(shelves, attempt.oracle), attempt.opened)
        if window is not None:
            _count(window, attempt, certain=attempt.id not in doubtful)
        elif attempt.state == "unknown" and not attempt.oracle.rehearsed:
            outside.append(attempt)
    for windows in shelves.values():
        proof.conclude(windows, now, by_sum=by_sum)
    return Comparison([window for key in sorted(shelves) for window in shelves[key]], outside)


def _shelf(shelves: dict[Key, list[Window]], oracle: reports.KnownOracle) -> list[Window]:
    """Return the windows in which an oracle's attempts count."""
    model = undated(oracle.model)
    keys = [(oracle.server, model), (oracle.server, ""), *([] if oracle.rehearsed else [("", model)])]
    return next((shelves[key] for key in keys if key in shelves), [])


def _count(window: Window, attempt: reports.Attempt, *, certain: bool) -> None:
    if attempt.state == "posted":
        window.posted = window.posted.plus(attempt.cost or Units())
        if attempt.assumed:
            window.assumed.append(attempt)
    elif attempt.state == "unknown":
        window.unknowns.append(attempt)
    elif attempt.state == "open":
        window.in_flight += 1
    window.doubtful += not certain and attempt.state != "voided"


def _shelves(report: Sequence[Usage]) -> dict[Key, list[Window]]:
    """Return the windows of each model in order; rows of one window are summed (a vendor lists projects and keys)."""
    summed: dict[tuple[str, str, datetime.datetime, datetime.datetime], Usage] = {}
    for usage in report:
        model = undated(usage.model)
        place = (usage.server, model, usage.start, usage.end)
        before = summed[place].amount if place in summed else Units()
        summed[place] = replace(usage, model=model, amount=before.plus(usage.amount))
    shelves: dict[Key, list[Window]] = {}
    for (server, model, start, _), usage in sorted(summed.items(), key=operator.itemgetter(0)):
        windows = shelves.setdefault((server, model), [])
        if windows and start < windows[-1].usage.end:
            what = model or server
            raise UsageError(f"two rows of {what} overlap at {start.isoformat()}: what is in both would count twice")
        windows.append(Window(usage))
    return shelves


def _joined(windows: list[Window]) -> list[Window]:
    """Return windows that follow one another as one: what was sent in one may have been billed in the next."""
    joined: list[Window] = []
    for window in windows:
        follows = joined and joined[-1].usage.end == window.usage.start
        joined.append(Window(joined.pop().usage.plus(window.usage)) if follows else window)
    return joined


def _find(windows: list[Window], opened: str) -> Window | None:
    """Return the window of this time, if one has it."""
    time = datetime.datetime.fromisoformat(opened)
    place = bisect.bisect_right(windows, time, key=lambda window: window.usage.start) - 1
    return windows[place] if place >= 0 and time < windows[place].usage.end else None
