"""The summary of an audit from its rows, which are read photo by photo: none is kept."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from bbquery.jobs.audit.agreement import Pair
from bbquery.jobs.audit.baseline import Comparison
from bbquery.jobs.audit.figures import Figures
from bbquery.jobs.audit.gates import gates
from bbquery.jobs.audit.summary import Summary
from bbquery.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.row import Row
    from bbquery.ledger.records import BudgetState
    from bbquery.units import Units

MOST_NAMED = 10  # photos that cannot be read
MEND = "mend the file, or take it out of the plan, and run the same command again"

Read: TypeAlias = "Callable[[str, str], Row | None]"
"""Gives the row of an oracle and a photo, by their names; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an audit stands, beside its rows.

    run: hash of what it asks. photos: names, in the plan's order. read: gives a row. before: likewise, of the baseline
    that `baseline` names; None without one. budgets: of the whole, by "", and of each oracle by name. ended: what ended
    lanes early, by oracle, and the whole, by "". command: as typed. resume: what completes it. began: ISO 8601.
    earlier: what runs before the last one took, of each oracle by name and of the whole by ""; empty where that is not
    known.
    """

    plan: Plan
    run: str
    folder: Path
    photos: Sequence[str]
    read: Read
    budgets: Mapping[str, BudgetState]
    ended: Mapping[str, str]
    before: Read | None = None
    baseline: str = ""
    command: Sequence[str] = ()
    resume: str = ""
    began: str = ""
    earlier: Mapping[str, Units] = field(default_factory=dict)


def summary(standing: Standing) -> Summary:
    """Return the summary of an audit as it stands."""
    plan, names = standing.plan, [own.name for own in standing.plan.oracles]
    distances = () if plan.attack is None else tuple(sorted(set(plan.attack.rmse), reverse=True))
    figures = {name: Figures(name, distances) for name in names}
    pairs = [Pair(one, other) for one, other in itertools.combinations(names, 2)]
    compared = {name: Comparison(name, distances) for name in names}
    for photo in standing.photos:
        rows = {name: standing.read(name, photo) for name in names}
        for name, row in rows.items():
            figures[name].add(row)
            if standing.before is not None:
                compared[name].add(standing.before(name, photo), row)
        for pair in pairs:
            pair.add(rows[pair.one], rows[pair.other])
    rests, damaged = tuple(_rests(figures, standing.ended)), tuple(_unreadable(figures.values()))
    budgets, ended = standing.budgets, standing.ended
    return Summary(
        name=plan.name, run=standing.run, plan=msgspec.to_builtins(plan), command=tuple(standing.command),
        folder=standing.folder,
        oracles=tuple(each.summary(budgets[name], ended.get(name, "")) for name, each in figures.items()),
        budget=budgets[""], read=lambda: _rows(standing, names), gates=gates(plan, figures, pairs),
        agreements=tuple(pair.summary() for pair in pairs),
        changes=tuple(change for each in compared.values() for change in each.changes()), baseline=standing.baseline,
        rests=rests + damaged, resume=standing.resume if rests else "", ended=ended.get("", ""), began=standing.began,
        earlier=standing.earlier, versions={"bbquery": __version__},
    )  # fmt: skip


def _rows(standing: Standing, names: Sequence[str]) -> Iterator[Row]:
    """Give every row that is there, oracle by oracle, in the plan's order."""
    for name in names:
        for photo in standing.photos:
            if (row := standing.read(name, photo)) is not None:
                yield row


def _rests(figures: Mapping[str, Figures], ended: Mapping[str, str]) -> Iterator[str]:
    """Give a line for each oracle that is not complete and whose photos can be asked again as they are."""
    for name, found in figures.items():
        counts = found.statuses - Counter(failed=len(found.unreadable))
        left = [f"{counts[status]:,} {status}" for status in ("partial", "failed", "not begun") if counts[status]]
        if left:
            why = "; ".join(each for each in (ended.get(name), found.why_not_begun) if each)
            yield f"{name}: {', '.join(left)} of {found.statuses.total():,} photos{f': {why}' if why else ''}"


def _unreadable(figures: Iterable[Figures]) -> Iterator[str]:
    """Give a line for each photo that cannot be read, once for all oracles; of many, for the first ones."""
    found: dict[str, str] = {}
    for each in figures:
        found |= each.unreadable
    for source, why in itertools.islice(found.items(), MOST_NAMED):
        yield f"photo {source} {why}; {MEND}"
    if len(found) > MOST_NAMED:
        yield f"{len(found) - MOST_NAMED:,} more photos cannot be read: {MEND}"
