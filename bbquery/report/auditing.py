"""An audit from its first photo to its page: the folder is taken, every row is written, then what all come to.

Also what a person does with an audit that is there: its record as data, for a notebook, and copied.
"""

from __future__ import annotations

import contextlib
import functools
import html as escaping
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery import option_types
from bbquery.errors import MissingExtra, UsageError
from bbquery.jobs.audit.engines import LOCAL, executor_of
from bbquery.jobs.audit.prepared import run_of
from bbquery.report import audit
from bbquery.report.audit_folder import AuditFolder
from bbquery.report.audit_there import compared_with
from bbquery.report.claim import MARK, claimed
from bbquery.report.files import check_writable, write_bytes
from bbquery.report.pages.page import check_extra
from bbquery.report.spent import of_allowed
from bbquery.shown import shown

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from bbquery.errors import BbqueryError
    from bbquery.jobs.audit.audit import Audit
    from bbquery.jobs.audit.prepared import Baseline, Prepared
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.audit.summary import Summary
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.ledger import Ledger


@dataclass(frozen=True)
class Audited:
    """Result of an audit. error: what ended it early or keeps it from being whole. written: files, the page last."""

    summary: Summary
    error: BbqueryError | None
    written: Sequence[Path]


async def audited(
    ready: Prepared,
    place: Path,
    ledger: Ledger,
    watch: Watch,
    *,
    command: Sequence[str] = (),
    resume: str = "",
    engine: str = LOCAL,
    force: bool = False,
    before: Baseline | None = None,
    told: Callable[[Row], None] = lambda _: None,
) -> Audited:
    """Run an audit in its folder, and write what it comes to. told: is given each row as soon as it is written.

    resume: the command that goes on with it. engine: what asks the photos, by name. before: the baseline; None for that
    of the last run in the folder.

    Raises:
        UsageError: the folder is another's, or the plan cannot be asked. MissingExtra: no matplotlib, or no Jinja.
    """
    check_extra()
    async with contextlib.AsyncExitStack() as opened:
        taken = opened.enter_context(claimed(place, run_of(ready.file.plan.name), force=force))
        check_writable(taken)
        before = compared_with(before, taken, watch.beware)
        keeper_in = functools.partial(AuditFolder, command=tuple(command))
        executor = await opened.enter_async_context(executor_of(engine, ready.file.plan, ledger, keeper_in))
        run = ready.engine(ledger, keeper_in(taken), watch, executor)
        await run.check()
        if ready.file.text is not None:
            write_bytes(taken / audit.PLAN, ready.file.text.encode())
        await run.open()
        await run.check_keys()
        await run.look_through()
        await run.check_photo_cap()
        summed = functools.partial(ready.summary, run, taken, command=command, resume=resume, before=before)
        audit.write_record(summed(), ready.names)  # so that 'bbquery audit status' knows it from now on
        async with contextlib.aclosing(run.run()) as rows:
            async for row in rows:
                told(row)
        summary = summed()
        return Audited(summary, run.error, audit.write(summary, ready.names))


def to_dict(found: Audit) -> dict[str, Any]:
    """Return the content of an audit's record."""
    plain: dict[str, Any] = json.loads(audit.record(found.summary, found.photos))
    return plain


def copied(found: Audit, place: str | os.PathLike[str], *, force: bool) -> list[Path]:
    """Copy an audit's folder; see `bbquery.jobs.audit.audit.Audit.save`."""
    with claimed(option_types.folder("folder", place), found.summary.run, force=force) as taken:
        shutil.copytree(found.folder, taken, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MARK))
        return sorted(each for each in taken.iterdir() if each.name != MARK)


def plot(found: Audit, ax: Axes | None) -> Axes:
    """Draw how far an audit is; see `bbquery.jobs.audit.audit.Audit.plot`."""
    try:
        from bbquery.report import audit_axes  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "plotting a result", "matplotlib") from error
    if not (ax is None or hasattr(ax, "set_title")):
        raise UsageError(f"ax must be axes of matplotlib, or None for a figure of its own, not {ax!r}")
    return audit_axes.draw(found.summary, ax)


def html(found: Audit) -> str:
    """Return an audit for a notebook: what is complete, gates, what was spent, and where the report is."""
    summary = found.summary
    lines = [
        f"{each.name}: {each.complete:,} of {each.photos:,} photos complete{f'; {each.ended}' if each.ended else ''}"
        for each in summary.oracles
    ]
    lines += [f"{gate.name} of {gate.oracle}: {gate.verdict}: {gate.found or gate.why}" for gate in summary.gates]
    lines += [f"spent: {', '.join(of_allowed(summary.budget)) or 'nothing'}", f"report: {found.folder / 'report.html'}"]
    head = f"<p><b>{escaping.escape(shown(f'Audit {summary.name}'))}</b></p>"
    return head + "".join(f"<p>{escaping.escape(shown(line))}</p>" for line in lines)
