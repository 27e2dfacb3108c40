"""A probe as a folder of files: all that was worked out, with the raw numbers behind it, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.errors import MissingExtra
from bbquery.jobs.probe.statistics import QUANTILES
from bbquery.report import record_parts
from bbquery.report.files import write_bytes
from bbquery.report.pages import parts
from bbquery.report.pages import probe as pages
from bbquery.report.pages.page import rendered
from bbquery.report.record import record_of
from bbquery.report.record_parts import Warned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bbquery.jobs.probe.design import Condition
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ConditionFigures, ScoreFigures, Use


def write(
    probe: Probe, folder: Path, *, command: Sequence[str], source: str, following: Sequence[str], resume: str = ""
) -> list[Path]:
    """Write `probe.png` and all on one page, `report.html`; return the paths, that last.

    command: as typed. source: where the photo is from. following: the command that is recommended. resume: the command
    that completes the run. `probe.json` is written last. The same answers give the same picture and the same own part
    of the record, to the byte, on one installation.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    drawn = picture(probe)
    write_bytes(folder / "probe.png", drawn)
    files = {"probe.png": "answers against what was visible"} | parts.SAID
    said = record(probe, command=command, source=source, following=following, files=files)
    page = pages.page(probe, said, drawn, command=command, source=source, following=following, resume=resume)
    write_bytes(folder / parts.REPORT, rendered(page))
    write_bytes(folder / "probe.json", said)
    return [folder / "probe.png", folder / "probe.json", folder / parts.REPORT]


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


def record(
    probe: Probe, *, command: Sequence[str], source: str, following: Sequence[str], files: Mapping[str, str]
) -> bytes:
    """Return probe.json. files: what each written file is; the rest as of `write`."""
    targets = dict.fromkeys(each.target for of_targets in probe.scores.values() for each in of_targets)
    return record_of(
        "probe",
        probe,
        own_part(probe, following),
        command=command,
        source=source,
        targets=[{"target": each, "value": None} for each in targets],  # several scores have several meanings
        score=None,
        warnings=[Warned("BEWARE", None, text) for text in probe.advice.warnings],
        files=files,
    )


def own_part(probe: Probe, following: Sequence[str]) -> dict[str, Any]:
    """Return what only this command knows."""
    design = probe.answers.design
    conditions = zip(design.conditions, probe.came, strict=True)
    advice = {key: value for key, value in vars(probe.advice).items() if key != "warnings"}
    return {
        "recommended": {**advice, "command": following},
        "clean": probe.clean,
        "conditions": [
            {**_condition(c), "asked": f.asked, "refused": f.refused, "kinds": f.kinds} for c, f in conditions
        ],
        "rows": {"condition": design.condition_of, "visible": probe.answers.visible},
        "scores": [_score(each) for of_targets in probe.scores.values() for each in of_targets],
        "unsuited": {score: record_parts.in_words_of(probe, why) for score, why in probe.unsuited.items()},
    }


def _condition(condition: Condition) -> dict[str, Any]:
    return {"name": condition.name, **vars(condition)}


def _score(found: ScoreFigures) -> dict[str, Any]:
    return {
        "score": found.specification,
        "target": found.target,
        "value": record_parts.value(found.about),
        "noise": found.noise,
        "decision_flips": found.flips,
        "use": _use(found.use),
        "between": found.between,
        "within": found.within,
        "reliability": found.reliability,
        "explained": found.explained.share,
        "explained_by_chance": found.explained.chance,
        "conditions": [_of_condition(each) for each in found.conditions],
        "clean": found.clean,
        "values": found.values,
        "decisions": found.decisions,
    }


def _use(use: Use) -> dict[str, Any]:
    return {
        **vars(use),
        "quantiles": {f"{q:g}": value for q, value in zip(QUANTILES, use.quantiles, strict=True)},
        "share_distinct": use.distinct / use.values if use.values else None,
    }


def _of_condition(found: ConditionFigures) -> dict[str, Any]:
    return {"name": found.condition.name} | {k: v for k, v in vars(found).items() if k != "condition"}
