"""A comparison as a folder: one sheet of all maps, a folder of each method's own, and its record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.jobs.explain.findings import findings, of_map
from bbquery.report import folder as explained
from bbquery.report import record_parts
from bbquery.report.curves import overlaid_curves_png
from bbquery.report.files import write_bytes
from bbquery.report.record import record_of
from bbquery.report.record_parts import Warned
from bbquery.report.scale import in_grey, reduced, scale
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.jobs.compare.result import Compared, Comparison
    from bbquery.report.tiles import Tile

SHEET, CURVES, RECORD = "compare.png", "curves.png", "compare.json"
LONGEST_PANEL = 600
"""Pixels: a longer photo is reduced for a panel, to no less than half of this."""

HOW_TO_READ = (
    "Each map has colours and a unit of its own. Rank correlation: 1 means that two maps put all pixels in the same "
    "order, 0 that they have nothing in common; a map of strength alone ranks evidence for and against alike."
)


def write(comparison: Comparison, folder: Path, *, command: Sequence[str], source: str) -> list[Path]:
    """Write the sheet, the curves where maps were measured, each method's own folder and, last, `compare.json`.

    Raises:
        UsageError: a folder cannot be written. MissingExtra: no matplotlib.
    """
    files = {}
    for each in comparison.results:
        if each.explanation is not None:
            own = explained.prepare(folder / each.name)
            *_, record_of_method, _ = explained.write(each.explanation, own, command=command, source=source)
            files[f"{each.name}/{record_of_method.name}"] = f"the record of the map by {each.method}"
    curves = {each.method: each.curves for each in comparison.results if each.curves is not None}
    if curves:
        drawn = overlaid_curves_png(curves, title=f"{_title(comparison)}: curves", caption=measured_by(comparison))
        write_bytes(folder / CURVES, drawn)
        files[CURVES] = "the curves of deletion and insertion of all methods"
    write_bytes(folder / SHEET, sheet_png(comparison))
    files[SHEET] = "the photo, the map of each method, and how much they agree"
    write_bytes(folder / RECORD, record(comparison, command=command, source=source, files=files))
    return [folder / name for name in (*files, RECORD)]


def measured_by(comparison: Comparison) -> str:
    """Return in words how maps were measured; nothing where they were not."""
    metric = comparison.metric
    if metric is None:
        return ""
    return (
        f"SRG is insertion minus deletion, higher is better: {metric.steps} steps, deletion to {metric.deletion_fill}, "
        f"insertion from {metric.insertion_fill}. A method that hides with the same filling is at an advantage."
    )


def sheet_png(comparison: Comparison) -> bytes:
    """Return one PNG: the photo, the map of each method with its queries and its SRG, and how much they agree.

    Equal input gives equal bytes on one installation.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from bbquery.report import agreement_figure, tiles  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing maps", "matplotlib") from error
    photo = reduced(comparison.photo, np.zeros(comparison.photo.shape[:2]), LONGEST_PANEL)[0]
    drawn = [tiles.Tile("photo", photo, (comparison.oracle.name,))]
    drawn += [_tile(each, comparison.photo, photo) for each in comparison.results]
    below = [text for text in (HOW_TO_READ, measured_by(comparison)) if text]
    sheet = tiles.Sheet.of(drawn, title=_title(comparison), below=below)
    methods = [each.method for each in comparison.results]
    return agreement_figure.draw(sheet, methods, comparison.agreement())


def _title(comparison: Comparison) -> str:
    maps = [each.map for each in comparison.results if each.map is not None]
    about = f" for “{maps[0].target}”" if maps else ""
    return f"{len(comparison.results)} methods{about}"


def _tile(each: Compared, photo: NDArray[np.uint8], small: NDArray[np.uint8]) -> Tile:
    from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional

    found = each.map
    if found is None:
        pale = np.rint(255 - 0.3 * (255 - in_grey(small))).astype(np.uint8)
        return tiles.Tile(each.method, pale, (f"{each.status}: {each.error}",))
    means = reduced(photo, found.values, LONGEST_PANEL)[1]
    lines = [found.sent.unit, f"{found.asked:,} {'query' if found.asked == 1 else 'queries'}"]
    if each.curves is not None:
        lines.append(f"SRG {_shown(each.curves.srg)}")
    if each.status != "complete":
        lines.append(f"PARTIAL: {found.sent.answered:,} of {found.sent.rows:,} rows answered")
    lines += [warned.kind for warned in of_map(found) if warned.kind in {"HARDLY MOVED", "REFUSED"}]
    colours = scale(found.values, signed=found.sent.signed)
    return tiles.map_tile(each.method, small, means, colours, signed=found.sent.signed, lines=lines)


def _shown(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:z.3f}".replace("-", "−")


def record(comparison: Comparison, *, command: Sequence[str], source: str, files: Mapping[str, str]) -> bytes:
    """Return compare.json. command: as typed. source: where the photo is from. files: what each written file is."""
    explanations = [each.explanation for each in comparison.results if each.explanation is not None]
    bound = [explanation.maps[0].score for explanation in explanations[:1]]
    return record_of(
        "compare",
        comparison,
        own_part(comparison),
        command=command,
        source=source,
        targets=[record_parts.target(score) for score in bound],
        score=explanations[0].score if explanations else None,
        warnings=warnings(comparison),
        files=files,
    )


def own_part(comparison: Comparison) -> dict[str, Any]:
    """Return what only this command knows."""
    return {
        "metric": None if comparison.metric is None else constructor(comparison.metric),
        "methods": [_method(each) for each in comparison.results],
        "rank_correlation": comparison.agreement(),
    }


def warnings(comparison: Comparison) -> list[Warned]:
    """Return what a person must know of the maps, as each method's own record says it too."""
    return [
        Warned(found.kind, found.target, f"{each.method}: {found.text}")
        for each in comparison.results
        if each.explanation is not None
        for found in findings(each.explanation)
        if found.kind != "NOTE"
    ]


def _method(each: Compared) -> dict[str, Any]:
    found, curves = each.map, each.curves
    return {
        "name": each.name,
        "given": each.method,
        "method": None if each.explanation is None else constructor(each.explanation.method),
        "status": each.status,
        "stopped": None if each.error is None else str(each.error),
        "target": None if found is None else found.target,
        "signed": None if found is None else found.sent.signed,
        "unit": None if found is None else found.sent.unit,
        "queries": None if found is None else found.asked,
        "srg": None if curves is None else curves.srg,
        "insertion": None if curves is None else curves.insertion_auc,
        "deletion": None if curves is None else curves.deletion_auc,
        "unanswered": None if curves is None else curves.unanswered,
    }
