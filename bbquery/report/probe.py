"""A probe as a folder of files: all its figures with the raw numbers behind them, and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.jobs.probe.statistics import QUANTILES
from bbquery.ledger import codec
from bbquery.money import dollars
from bbquery.report.files import write_bytes
from bbquery.report.oracle import described
from bbquery.report.record import versions
from bbquery.shown import as_json

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.probe.design import Condition
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ConditionFigures, ScoreFigures, Use
    from bbquery.ledger.records import BudgetState


def write(probe: Probe, folder: Path, *, command: Sequence[str], source: str, following: Sequence[str]) -> list[Path]:
    """Write `probe.png` and, last, `probe.json`; return the paths.

    command: as typed. source: where the photo is from. following: the command that is recommended. The same answers
    give the same bytes on one installation: nothing in them depends on the clock, or on what was asked before.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib.
    """
    write_bytes(folder / "probe.png", picture(probe))
    write_bytes(folder / "probe.json", record(probe, command, source, following))
    return [folder / "probe.png", folder / "probe.json"]


def picture(probe: Probe) -> bytes:
    """Return a PNG of answers against what was visible.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from bbquery.report import probe_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a probe", "matplotlib") from error
    return probe_figure.draw(probe)


def record(probe: Probe, command: Sequence[str], source: str, following: Sequence[str]) -> bytes:
    """Return probe.json; numbers that are not known are null."""
    design = probe.answers.design
    conditions = zip(design.conditions, probe.came, strict=True)
    plain = {
        "run": probe.run,
        "status": "partial" if probe.partial else "complete",
        "stopped": None if probe.error is None else str(probe.error),
        "command": list(command),
        "versions": versions(),
        "image": {
            "source": source,
            "height": probe.photo.shape[0],
            "width": probe.photo.shape[1],
            "pixels": codec.image_digest(probe.photo).hex(),
        },
        "oracle": described(probe.oracle),
        "seed": probe.seed,
        "recommended": {**asdict(probe.advice), "command": list(following)},
        "cost": _cost(probe),
        "budget": _budget(probe.budget),
        "clean": asdict(probe.clean),
        "conditions": [
            {**_condition(c), "asked": f.asked, "refused": f.refused, "kinds": f.kinds} for c, f in conditions
        ],
        "rows": {"condition": design.condition_of, "visible": probe.answers.visible},
        "scores": [_score(figures) for of_targets in probe.scores.values() for figures in of_targets],
        "unsuited": dict(probe.unsuited),
    }
    return f"{as_json(_plain(plain))}\n".encode()


def _condition(condition: Condition) -> dict[str, Any]:
    return {"name": condition.name, **asdict(condition)}


def _cost(probe: Probe) -> dict[str, Any]:
    each = probe.cost_of_query
    return {
        "usd": dollars(probe.budget.posted.picodollars),
        "usd_held": dollars(probe.budget.held.picodollars),
        "usd_a_query": None if each is None else dollars(each),
        "prices": "this oracle is free" if probe.oracle.price.free else probe.oracle.price.source,
    }


def _budget(budget: BudgetState) -> dict[str, Any]:
    return {
        "name": budget.name, "cap": asdict(budget.cap), "posted": asdict(budget.posted), "held": asdict(budget.held)
    }  # fmt: skip


def _score(figures: ScoreFigures) -> dict[str, Any]:
    return {
        "score": figures.specification,
        "target": figures.target,
        "about": asdict(figures.about),
        "noise": figures.noise,
        "decision_flips": figures.flips,
        "use": _use(figures.use),
        "between": figures.between,
        "within": figures.within,
        "reliability": figures.reliability,
        "explained": figures.explained,
        "conditions": [_of_condition(each) for each in figures.conditions],
        "clean": figures.clean,
        "values": figures.values,
        "decisions": figures.decisions,
    }


def _use(use: Use) -> dict[str, Any]:
    return {
        **asdict(use),
        "quantiles": {f"{q:g}": value for q, value in zip(QUANTILES, use.quantiles, strict=True)},
        "share_distinct": use.distinct / use.values if use.values else None,
    }


def _of_condition(figures: ConditionFigures) -> dict[str, Any]:
    return {"name": figures.condition.name} | {k: v for k, v in vars(figures).items() if k != "condition"}


def _plain(value: Any) -> Any:
    """Return what JSON has: lists for arrays, null for numbers that are not finite."""
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case np.ndarray() | Sequence():
            return [_plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return _plain(asdict(value))  # an estimate
