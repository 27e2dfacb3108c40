"""A comparison as a folder: one sheet of all maps, a folder of each method's own, and its record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.jobs.explain.findings import findings, of_map
from bbquery.report import folder as explained
from bbquery.report import record_parts, sentence
from bbquery.report.curves import overlaid_curves_png
from bbquery.report.files import write_bytes
from bbquery.report.map_picture import LONGEST_PANEL, map_tile
from bbquery.report.pages import compare as pages
from bbquery.report.pages import parts
from bbquery.report.pages.page import rendered
from bbquery.report.record import record_of
from bbquery.report.record_parts import Warned
from bbquery.report.scale import in_grey, reduced
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.jobs.compare.ranking import Pair, Ranking
    from bbquery.jobs.compare.result import Compared, Comparison
    from bbquery.report.tiles import Tile

SHEET, CURVES, RECORD = "compare.png", "curves.png", "compare.json"
HOW_TO_READ = (
    "Each map has colours and a unit of its own. Pale places could be chance, where a method says how sure it is. Rank "
    "correlation: 1 means that two maps put all pixels in the same order, 0 that they have nothing in common; a map of "
    "strength alone ranks evidence for and against alike."
)

MOST_TIES = 6  # that are named
ONE_PHOTO = (
    "The intervals (95 %, of each method by itself) are over eight stretches of the curves, so they say how far an SRG "
    "depends on how much is hidden. Two methods are told apart by the same stretches, more strictly the more pairs "
    "there are (Holm). This is one photo: on the next the order may be another, so it is no ranking of methods in "
    "general."
)


def write(comparison: Comparison, folder: Path, *, command: Sequence[str], source: str, resume: str = "") -> list[Path]:
    """Write the sheet, the curves where maps were measured, and each method's own folder.

    Return the paths, last the page to open, `report.html`, which has all of it; resume: the command that completes the
    run, for it. `compare.json` is written last.

    Raises:
        UsageError: a folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    files = {}
    for each in comparison.results:
        if each.explanation is not None:
            own = explained.prepare(folder / each.name)
            completed = "" if each.status == "complete" else resume
            *_, record_of_method, _ = explained.write(
                each.explanation, own, command=command, source=source, resume=completed
            )
            files[f"{each.name}/{record_of_method.name}"] = f"the record of the map by {each.method}"
    curves = {each.method: each.curves for each in comparison.results if each.curves is not None}
    drawn = None
    if curves:
        drawn = overlaid_curves_png(curves, title=f"{_title(comparison)}: curves", caption=measured_by(comparison))
        write_bytes(folder / CURVES, drawn)
        files[CURVES] = "the curves of deletion and insertion of all methods"
    write_bytes(folder / SHEET, sheet_png(comparison))
    files[SHEET] = "the photo, the map of each method, and how much they agree"
    said = record(comparison, command=command, source=source, files=files | parts.SAID)
    words = pages.Words(
        ranked=ranked(comparison), srg=srg_of_each(comparison), read=HOW_TO_READ, measured=measured_by(comparison)
    )
    page = pages.page(comparison, said, drawn, words=words, command=command, source=source, resume=resume)
    write_bytes(folder / parts.REPORT, rendered(page))
    write_bytes(folder / RECORD, said)
    return [folder / name for name in (*files, RECORD, parts.REPORT)]


def measured_by(comparison: Comparison) -> str:
    """Return in words how maps were measured; nothing where they were not."""
    metric = comparison.metric
    if metric is None:
        return ""
    return (
        f"SRG is insertion minus deletion, higher is better: {metric.steps} steps, deletion to {metric.deletion_fill}, "
        f"insertion from {metric.insertion_fill}. A method that hides with the same filling is at an advantage."
    )


def ranked(comparison: Comparison) -> list[str]:
    """Return in words how the methods rank on this photo, and which cannot be told apart; none where not measured."""
    found = comparison.ranking()
    if not found.order:
        return []
    named = [each.method for each in comparison.results]
    places = ", ".join(f"{rank} {named[place]}" for rank, place in zip(found.ranks, found.order, strict=True))
    return [f"Rank by SRG: {places}. {_ties(found, named)}".strip(), ONE_PHOTO]


def _ties(found: Ranking, named: Sequence[str]) -> str:
    if not found.pairs:
        return ""
    if not found.ties:
        return "Every two can be told apart on this photo."
    if len(found.ties) == len(found.pairs):
        return "No two can be told apart on this photo, so their order says nothing."
    if len(found.ties) > MOST_TIES:
        return f"{len(found.ties)} of {len(found.pairs)} pairs cannot be told apart on this photo: see {RECORD}."
    tied = "; ".join(f"{named[pair.one]} and {named[pair.other]}" for pair in found.ties)
    return f"Cannot be told apart on this photo: {tied}."


def srg_in_words(each: Compared, found: Ranking, place: int) -> str:
    """Return a method's SRG with its interval, "0.412 (0.301 to 0.523)"; nothing where it was not measured."""
    if each.curves is None:
        return ""
    if place not in found.order:
        return "unknown"
    srg = found.srg[found.order.index(place)]
    interval = "" if math.isnan(srg.low) else f" ({_shown(srg.low)} to {_shown(srg.high)})"
    return f"{_shown(each.curves.srg)}{interval}"


def srg_of_each(comparison: Comparison) -> list[str]:
    """Return the SRG of each method in words; nothing for one that was not measured."""
    found = comparison.ranking()
    return [srg_in_words(each, found, place) for place, each in enumerate(comparison.results)]


def rank_of(found: Ranking, place: int) -> int | None:
    """Return a method's rank, by its place among those that were given; None where it has none."""
    return found.ranks[found.order.index(place)] if place in found.order else None


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
    ranking = comparison.ranking()
    for place, each in enumerate(comparison.results):
        drawn.append(_tile(each, photo, _srg_lines(each, ranking, place)))
    below = [text for text in (*ranked(comparison), HOW_TO_READ, measured_by(comparison)) if text]
    sheet = tiles.Sheet.of(drawn, title=_title(comparison), below=below)
    methods = [each.method for each in comparison.results]
    return agreement_figure.draw(sheet, methods, comparison.agreement())


def _title(comparison: Comparison) -> str:
    maps = [each.map for each in comparison.results if each.map is not None]
    about = f" for “{maps[0].target}”" if maps else ""
    return f"{len(comparison.results)} methods{about}"


def _srg_lines(each: Compared, found: Ranking, place: int) -> list[str]:
    if each.curves is None:
        return []
    rank = rank_of(found, place)
    return [f"SRG {srg_in_words(each, found, place)}", *([] if rank is None else [f"rank {rank} on this photo"])]


def _tile(each: Compared, small: NDArray[np.uint8], srg: Sequence[str]) -> Tile:
    from bbquery.report import tiles  # noqa: PLC0415 - matplotlib is optional

    found = each.map
    if found is None:
        pale = np.rint(255 - 0.3 * (255 - in_grey(small))).astype(np.uint8)
        return tiles.Tile(each.method, pale, (f"{each.status}: {each.error}",))
    assert each.explanation is not None  # noqa: S101 - whose map this is
    lines = [sentence.plain_unit(found), f"{found.asked:,} {'query' if found.asked == 1 else 'queries'}", *srg]
    if each.status != "complete":
        lines.append(f"PARTIAL: {found.sent.answered:,} of {found.sent.rows:,} rows answered")
    lines += [warned.kind for warned in of_map(found) if warned.kind == "REFUSED"]
    return map_tile(each.explanation, found, each.method, lines, LONGEST_PANEL)


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
    ranking = comparison.ranking()
    return {
        "metric": None if comparison.metric is None else constructor(comparison.metric),
        "methods": [_method(each, ranking, place) for place, each in enumerate(comparison.results)],
        "pairs": [_pair(pair, comparison) for pair in ranking.pairs],
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


def _pair(pair: Pair, comparison: Comparison) -> dict[str, Any]:
    one, other = (comparison.results[place].name for place in (pair.one, pair.other))
    return {
        "one": one,
        "other": other,
        "difference": pair.difference,
        "probability_of_chance": pair.chance,
        "told_apart": pair.told_apart,
    }


def _method(each: Compared, ranking: Ranking, place: int) -> dict[str, Any]:
    found, curves = each.map, each.curves
    srg = ranking.srg[ranking.order.index(place)] if place in ranking.order else None
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
        "srg_interval": srg,
        "rank": rank_of(ranking, place),
        "insertion": None if curves is None else curves.insertion_auc,
        "deletion": None if curves is None else curves.deletion_auc,
        "unanswered": None if curves is None else curves.unanswered,
    }
