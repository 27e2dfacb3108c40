"""Several attacks on several photos as a folder: a folder of each, tables and a figure of all, and the record."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bbquery.errors import MissingExtra
from bbquery.report import attack, attacks_table
from bbquery.report.files import check_writable, write_bytes
from bbquery.report.pages import attacks as pages
from bbquery.report.pages.page import rendered
from bbquery.report.record import record_of_several
from bbquery.report.record_parts import Warned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.summary import Finding, Pair, Row, Summary
    from bbquery.jobs.attack.whole import Attacks
    from bbquery.report.pages.parts import Picture

RECORD = "attacks.json"
FILES = {
    "table.md": "successes, medians, comparisons and the labels that photos get now, to read",
    "table.csv": "successes and medians, as numbers",
    pages.NAME: "all of this on one page, with each attack on each photo",
    "distance.png": "the median distance against queries, for each attack",
}


def write_one(stress: Stress, folder: Path, *, command: Sequence[str], source: str, resume: str) -> list[Path]:
    """Write the files of one attack on one photo into a folder of theirs; return the paths.

    resume: the command that completes it; empty where it is whole.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    return attack.write(stress, check_writable(folder), command=command, source=source, resume=resume)


def write(
    attacks: Attacks,
    folder: Path,
    *,
    command: Sequence[str],
    thumbnails: Mapping[tuple[str, str], Picture],
    resume: str = "",
) -> list[Path]:
    """Write what all come to, beside the folders of each; return the paths, last the page to open.

    thumbnails: of photos under attacks, by their folders' names. resume: the command that completes the run.
    `attacks.json` is written last.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    summary = attacks.summary
    said, drawn = record(attacks, summary, command=command), _figure(summary, title=title(attacks))
    page = pages.page(attacks, said, drawn, thumbnails=thumbnails, command=command, resume=resume)
    made = {
        "table.md": attacks_table.markdown(summary, attacks.findings).encode(),
        "table.csv": attacks_table.table_csv(summary).encode(),
        "distance.png": drawn,
        pages.NAME: rendered(page),
        RECORD: said,
    }
    for name, data in made.items():
        write_bytes(folder / name, data)
    return [folder / name for name in made if name != pages.NAME] + [folder / pages.NAME]


def title(attacks: Attacks) -> str:
    """Return what is attacked, how often and by whom."""
    rows = [row for row in attacks.summary.rows if not row.control]
    counted = f"{len(rows)} {'attack' if len(rows) == 1 else 'attacks'}"
    photos = f"{len(attacks.images)} {'photo' if len(attacks.images) == 1 else 'photos'}"
    return f"{attacks.oracle.name}: {counted} on {photos}, distance against queries"


def _figure(summary: Summary, *, title: str) -> bytes:
    try:
        from bbquery.report import distance_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing distances", "matplotlib") from error
    return distance_figure.draw(summary, title=title)


def record(attacks: Attacks, summary: Summary, *, command: Sequence[str]) -> bytes:
    """Return attacks.json. command: as typed."""
    own = own_part(attacks, summary)
    warnings = [Warned("NOT COUNTED", None, line) for line in attacks_table.left_out(summary)]
    return record_of_several("attack", attacks, own, command=command, warnings=warnings, files=FILES)


def own_part(attacks: Attacks, summary: Summary) -> dict[str, Any]:
    """Return what only this command knows."""
    return {
        "images": attacks.images,
        "thresholds": attacks.thresholds,
        "linf_thresholds": attacks.linf_thresholds,
        "attacks": [_row(row) for row in summary.rows],
        "pairs": [_pair(pair) for pair in summary.pairs],
        "results": [_result(finding) for finding in attacks.findings],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.attack,
        "given": row.given,
        "control": row.control,
        "images": row.photos,
        "success": _by_distance(row.successes),
        "linf_success": _by_distance(row.linf_successes),
        "median_rmse": row.median,
        "not_attacked": row.not_attacked,
        "incomplete": row.incomplete,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "one": pair.one,
        "other": pair.other,
        "images": pair.photos,
        "ratio": pair.ratio,
        "nearer": pair.nearer,
        "probability_of_chance": pair.chance,
        "told_apart": pair.told_apart,
        "within": _by_distance(pair.within),
    }


def _by_distance(found: Mapping[float, object]) -> dict[str, object]:
    return {f"{threshold:g}": each for threshold, each in found.items()}


def _result(finding: Finding) -> dict[str, Any]:
    names = ("image", "attack", "status", "outcome", "rmse", "linf", "queries", "labels")
    return {name: value for name, value in dataclasses.asdict(finding).items() if name in names}
