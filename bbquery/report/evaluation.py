"""An evaluation as a folder of files: every number with its fill and steps, the curves, and a picture of them."""

from __future__ import annotations

import datetime
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bbquery.ledger import codec
from bbquery.money import dollars
from bbquery.report.curves import curves_png
from bbquery.report.files import write_bytes
from bbquery.report.oracle import described
from bbquery.report.record import versions
from bbquery.report.spent import spent
from bbquery.shown import as_json
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.ledger.records import BudgetState
    from bbquery.metrics import Measurement
    from bbquery.metrics.srg import Curves


def write(
    evaluation: Evaluation, folder: Path, *, command: Sequence[str], source: str, of: str, warnings: Sequence[str]
) -> list[Path]:
    """Write `curves.png`, where curves were chosen, and, last, `evaluation.json`; return the paths.

    command: as typed. source: where the photo is from. of: where the map is from. warnings: what was said of it.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib.
    """
    paths = []
    if evaluation.curves is not None:
        paths.append(folder / "curves.png")
        write_bytes(paths[0], _picture(evaluation, evaluation.curves))
    paths.append(folder / "evaluation.json")
    write_bytes(paths[-1], record(evaluation, command, source, of, warnings))
    return paths


def _picture(evaluation: Evaluation, curves: Curves) -> bytes:
    partial = " · PARTIAL" if evaluation.partial else ""
    return curves_png(
        curves,
        title=f"How the map of “{evaluation.target}” ranks pixels",
        caption=f"{evaluation.oracle.name} · deletion to {curves.deletion_fill}, insertion from "
        f"{curves.insertion_fill}, {curves.steps} steps{partial}",
        unit=evaluation.bound.about.unit,
    )


def record(evaluation: Evaluation, command: Sequence[str], source: str, of: str, warnings: Sequence[str]) -> bytes:
    """Return evaluation.json; numbers that are not known are null."""
    plain = {
        "run": evaluation.run,
        "status": "partial" if evaluation.partial else "complete",
        "stopped": None if evaluation.error is None else str(evaluation.error),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "versions": versions(),
        "map": of,
        "image": {"source": source, "pixels": codec.image_digest(evaluation.photo).hex()},
        "oracle": described(evaluation.oracle),
        "target": evaluation.target,
        "score": constructor(evaluation.score),
        "choice": constructor(evaluation.choice),
        "seed": evaluation.seed,
        "metrics": [_measurement(each) for each in evaluation.measurements],
        "curves": None if evaluation.curves is None else _curves(evaluation.curves),
        "warnings": list(warnings),
        "unread": dict(evaluation.unread),
        "queries": asdict(evaluation.queries),
        "spent": spent(evaluation.budget, evaluation.queries.from_store, evaluation.queries.sent),
        "budget": _budget(evaluation.budget),
        "unknown": [{"attempt": u.attempt, "opened": u.opened, "reason": u.reason} for u in evaluation.unknown],
        "cost": {"usd": dollars(evaluation.budget.posted.picodollars)},
    }
    return f"{as_json(plain)}\n".encode()


def _budget(budget: BudgetState) -> dict[str, Any]:
    return {
        "name": budget.name, "cap": asdict(budget.cap), "posted": asdict(budget.posted), "held": asdict(budget.held)
    }  # fmt: skip


def _measurement(each: Measurement) -> dict[str, Any]:
    return asdict(each) | {"value": _number(each.value)}


def _curves(curves: Curves) -> dict[str, list[float | None]]:
    return {name: [_number(each) for each in getattr(curves, name)] for name in ("shares", "deletion", "insertion")}


def _number(value: float) -> float | None:
    """Return a number that JSON has: None for NaN."""
    return float(value) if math.isfinite(value) else None
