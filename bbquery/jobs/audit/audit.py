"""`bbquery.audit`: many photos on several oracles, as a plan says, within caps, with gates and one report.

Files are written by `bbquery.report`, which lies above: it is imported once an audit runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.jobs.audit.engines import LOCAL
from bbquery.jobs.audit.prepared import place_of, prepared
from bbquery.jobs.audit.reading import read
from bbquery.jobs.presented import Presented, in_a_line
from bbquery.jobs.public import public
from bbquery.jobs.synchronous import synchronous
from bbquery.jobs.watched import watched
from bbquery.ledger.ledger import open_ledger
from bbquery.option_types import folder

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.axes import Axes

    from bbquery.errors import BbqueryError
    from bbquery.jobs.audit.reading import AnyPlan
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.audit.summary import Gate, Summary
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger


@dataclass(frozen=True, eq=False)
class Audit(Presented):
    """Result of an audit. Its files are in its folder, and rows are read from there, one by one.

    summary: figures with intervals, gates, and what is not complete. photos: names, in the plan's order. error: what
    ended it early, or keeps it from being whole; None where nothing does. call: the text of the call that made it.
    """

    summary: Summary
    photos: tuple[str, ...]
    error: BbqueryError | None
    call: str = ""

    def __repr__(self) -> str:
        """Return what it came to, in a line."""
        oracles = self.summary.oracles
        done = f"{sum(each.complete for each in oracles):,} of {sum(each.photos for each in oracles):,} complete"
        gates = f"{sum(gate.verdict == 'met' for gate in self.gates)} of {len(self.gates)} gates met"
        return in_a_line("Audit", repr(self.summary.name), done, gates, str(self.folder))

    @property
    def folder(self) -> Path:
        """Where its files are: report.html, audit.json, rows.csv, rows.jsonl, and a folder for each photo."""
        return self.summary.folder

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The outcome of each gate of the plan, on each oracle."""
        return self.summary.gates

    @property
    def passed(self) -> bool:
        """Whether every photo is complete and every gate is met."""
        return self.error is None and all(gate.verdict == "met" for gate in self.gates)

    @property
    def partial(self) -> bool:
        """Whether anything that the plan wants is not complete."""
        return bool(self.summary.rests)

    def rows(self) -> Iterator[Row]:
        """Give what is kept of each photo on each oracle, read one by one."""
        return self.summary.rows()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how many photos of each oracle are complete, partial, failed and not begun; return the axes.

        ax: where to; None makes a figure by pyplot.

        Raises:
            UsageError: ax is no axes. MissingExtra: matplotlib is not installed.
        """
        axes: Axes = _report().plot(self, ax)
        return axes

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
        """Copy its folder, made where absent; return the paths of what is on top of it.

        force: also into a folder that holds files.

        Raises:
            UsageError: the folder cannot be written, or holds files.
        """
        written: list[Path] = _report().copied(self, folder, force=force)
        return written

    def to_dict(self) -> dict[str, Any]:
        """Return the content of audit.json, as plain data that JSON can hold: see docs/records.md."""
        plain: dict[str, Any] = _report().to_dict(self)
        return plain

    def _repr_html_(self) -> str:
        """Return it for a notebook: gates, what is complete, and where the report is."""
        html: str = _report().html(self)
        return html


@public
async def audit_async(
    plan: AnyPlan,
    *,
    out: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    engine: str = LOCAL,
    force: bool = False,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
) -> Audit:
    """Ask all that a plan says of many photos on several oracles, within its caps; write a folder with a report.

    A photo begins only where its worst case fits in what is left, so a spent cap leaves finished photos. The same plan
    again goes on, and pays only what is missing: after a stop, with a raised cap, a further photo or a further oracle.

    plan: the path of a plan file (see `bbquery audit init`), a dictionary of the same form, or a
    `bbquery.jobs.audit.plan.Plan`. Relative paths in a file count from its folder, else from the current one. out: the
    folder of the results; None as the plan says. baseline: the folder of another audit of the same photos, with which
    this one is compared; None keeps that of the last run in this folder, "none" drops it. engine: what asks the photos:
    "local", this process, or "dask:tcp://HOST:PORT", the workers of a Dask cluster, with a ledger on PostgreSQL.
    force: also write into a folder that holds files of something else. watch: hears of all photos; `Watch.beside`
    tells them apart. ledger, progress: as of `bbquery.explain_async`.

    Keys are only ever read from the environment. An oracle whose queries cost money must have a cap in queries or
    dollars, its own or the audit's.

    Raises:
        UsageError: the plan, a photo folder or an oracle cannot be used as the plan says; found before a query is sent.
            Later causes, of one photo or one oracle, are in the result instead.
    """
    file = read(plan)
    place = place_of(file, None if out is None else folder("out", out))
    with watched(watch, progress) as heard:
        async with prepared(file) as ready:
            ready.check_capped("give [caps] max_usd in the plan")
            with open_ledger(ledger) as opened:
                made = await _report().audited(
                    ready, place, opened, heard, engine=engine, force=force,
                    before=None if baseline is None else _baseline(folder("baseline", baseline)),
                )  # fmt: skip
                return Audit(made.summary, tuple(ready.names), made.error)


def _report() -> Any:
    return importlib.import_module("bbquery.report.auditing")


def _baseline(place: Path) -> Any:
    return importlib.import_module("bbquery.report.audit_there").baseline(place)


audit = synchronous(audit_async)
