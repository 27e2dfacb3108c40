"""An evaluation as a folder of files: every number with its fill and steps, the curves, and a picture of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.report import record_parts
from bbquery.report.curves import curves_png
from bbquery.report.files import write_bytes
from bbquery.report.pages import evaluate as pages
from bbquery.report.pages import parts
from bbquery.report.pages.page import rendered
from bbquery.report.record import record_of
from bbquery.report.record_parts import Warned
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.metrics.srg import Curves


def write(
    evaluation: Evaluation, folder: Path, *, command: Sequence[str], source: str, of: str, resume: str = ""
) -> list[Path]:
    """Write `curves.png`, where curves were chosen, and all on one page, `report.html`; return the paths, that last.

    command: as typed. source: where the photo is from. of: where the map is from. resume: the command that completes
    the run. `evaluation.json` is written last.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    files, drawn = {}, None
    if evaluation.curves is not None:
        files["curves.png"] = "the curves of deletion and insertion"
        drawn = picture(evaluation, evaluation.curves)
        write_bytes(folder / "curves.png", drawn)
    said = record(evaluation, command=command, source=source, of=of, files=files | parts.SAID)
    page = pages.page(evaluation, said, drawn, command=command, source=source, of=of, resume=resume)
    write_bytes(folder / parts.REPORT, rendered(page))
    write_bytes(folder / "evaluation.json", said)
    return [folder / name for name in (*files, "evaluation.json", parts.REPORT)]


def picture(evaluation: Evaluation, curves: Curves) -> bytes:
    """Return a PNG of the curves of deletion and insertion.

    Raises:
        MissingExtra: no matplotlib.
    """
    partial = " · PARTIAL" if evaluation.partial else ""
    return curves_png(
        curves,
        title=f"How the map of “{evaluation.target}” ranks pixels",
        caption=f"{evaluation.oracle.name} · deletion to {curves.deletion_fill}, insertion from "
        f"{curves.insertion_fill}, {curves.steps} steps{partial}",
        unit=evaluation.bound.about.unit,
    )


def record(
    evaluation: Evaluation,
    *,
    command: Sequence[str],
    source: str,
    of: str,
    files: Mapping[str, str],
) -> bytes:
    """Return evaluation.json. files: what each written file is; the rest as of `write`."""
    return record_of(
        "evaluate",
        evaluation,
        {"map": of, **own_part(evaluation)},
        command=command,
        source=source,
        targets=[record_parts.target(evaluation.bound)],
        score=evaluation.score,
        warnings=[Warned("BEWARE", evaluation.target, text) for text in evaluation.warnings],
        files=files,
    )


def own_part(evaluation: Evaluation) -> dict[str, Any]:
    """Return what only this command knows."""
    return {
        "choice": constructor(evaluation.choice),
        "metrics": evaluation.measurements,
        "curves": None if evaluation.curves is None else _curves(evaluation.curves),
        "unread": record_parts.unread(evaluation.unread),
    }


def _curves(curves: Curves) -> dict[str, Any]:
    return {"shares": curves.shares, "deletion": curves.deletion, "insertion": curves.insertion}
