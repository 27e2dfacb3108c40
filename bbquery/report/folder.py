"""An explanation as a folder of files: a picture and an array for each target, and the record of the run."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.explain.progress import stages
from bbquery.report.explanation import record
from bbquery.report.files import check_writable, write_bytes
from bbquery.report.interval import interval_png
from bbquery.report.map_picture import map_png, sheet_png
from bbquery.report.pages import explain, parts
from bbquery.report.pages.page import check_extra, rendered
from bbquery.report.progress import progress_png
from bbquery.report.record_parts import in_words_of
from bbquery.report.sentence import named, plain_unit, stamp
from bbquery.report.verified import verified_png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import Explanation, TargetMap

LARGEST_WHOLE = 4_000_000
"""Pixels of a photo, above which arrays are written as they were asked: those of all its pixels take 32 MB at this."""

RESERVED = ("-error", "-interval", "-progress", "-verified")
"""How the names of a map's further files go on, so that no target's own name may end like this."""

SHEET = "maps.png"
"""The maps of all targets, where there are several."""

ENDINGS = ("-error.npy", "-interval.png", "-progress.png", "-verified.png")
"""Of files that not every run writes."""


def prepare(folder: Path) -> Path:
    """Make the folder and see, before anything is asked, that all can be written; return it.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    check_extra()
    return check_writable(folder)


def write(
    explanation: Explanation,
    folder: Path,
    *,
    command: Sequence[str],
    source: str,
    resume: str = "",
    progress: bool = False,
    full_size: bool = False,
) -> list[Path]:
    """Write an explanation's files into a folder; return their paths, last the page to open.

    For each target NAME.npy, the map, and NAME.png, its picture; of several maps.png, all of them. Where the method
    estimates it, NAME-error.npy, the map's standard error, and NAME-interval.png, where the 90 % interval excludes 0.
    Where facts were verified, NAME-verified.png, the parts of the photo as they were asked. Arrays are float64 (H, W)
    in the photo's coordinates; of a photo above 4 megapixels they are float32 (h, w) in those of the pixels sent,
    and `bbquery.images.placement.Placement.of` the record's image.sent leads back. full_size: write them as of
    smaller photos. progress: also NAME-progress.png, the map after 32, 64, 128 … queries. `report.html` has all on one
    page; resume: the command that completes the run, for it. `run.json` is written last, so that a folder with a record
    is whole. What an earlier run of the same name wrote and this one does not is removed.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib, or no Jinja.
    """
    files: dict[str, str] = {}
    whole = full_size or explanation.photo.shape[0] * explanation.photo.shape[1] <= LARGEST_WHOLE
    for name, m in zip(names_of(explanation.maps), explanation.maps, strict=True):
        made = _arrays(m, whole=whole) | _pictures(explanation, m, progress=progress)
        files |= _write_map(made, folder, name)
    files |= _write_sheet(explanation, folder)
    said = record(explanation, command=command, source=source, files=files | parts.SAID)
    page = explain.page(explanation, said, command=command, source=source, resume=resume)
    write_bytes(folder / parts.REPORT, rendered(page))
    write_bytes(folder / "run.json", said)
    return [folder / name for name in (*files, "run.json", parts.REPORT)]


def _write_map(by_ending: dict[str, tuple[bytes, str]], folder: Path, name: str) -> dict[str, str]:
    """Write one map's files; return what each is, by name."""
    made = {f"{name}{ending}": made for ending, made in by_ending.items()}
    for file, (data, _) in made.items():
        write_bytes(folder / file, data)
    for stale in (f"{name}{ending}" for ending in ENDINGS):
        if stale not in made:
            (folder / stale).unlink(missing_ok=True)
    return {file: said for file, (_, said) in made.items()}


def _write_sheet(explanation: Explanation, folder: Path) -> dict[str, str]:
    """Write the picture of all maps where there are several; return what it is, by name."""
    if len(explanation.maps) == 1:
        (folder / SHEET).unlink(missing_ok=True)
        return {}
    write_bytes(folder / SHEET, sheet_png(explanation))
    return {SHEET: "the photo and the maps of all targets"}


def _arrays(m: TargetMap, *, whole: bool) -> dict[str, tuple[bytes, str]]:
    """Return the bytes of each array of a map and what it is, by the file's ending. whole: of all the photo."""
    about, known = f"of {m.target!r}", "float64, the photo's coordinates, NaN where the oracle saw nothing"
    values, error = m.values, m.standard_error
    if not whole:
        known = "float32, the coordinates of the pixels that were sent: image.sent says where they lie on the photo"
        values, error = m.sent.values.astype(np.float32), m.sent.standard_error
        error = None if error is None else error.astype(np.float32)
    made = {".npy": (_npy(values), f"map {about}, {known}")}
    if error is not None:
        made["-error.npy"] = (_npy(error), f"standard error of the map {about}, {known}")
    return made


def _pictures(explanation: Explanation, m: TargetMap, *, progress: bool) -> dict[str, tuple[bytes, str]]:
    """Return the bytes of each picture of a map and what it is, by the file's ending."""
    about = f"of {m.target!r}"
    made = {".png": (map_png(explanation, m), f"the photo and the map {about} on it")}
    if m.half_width is not None:
        drawn = _interval(explanation, m, m.half_width)
        made["-interval.png"] = (drawn, f"where the 90 % interval of the map {about} excludes 0")
    if m.verified is not None and m.verified.says:
        facts = replace(m.verified, why=in_words_of(explanation, m.verified.why))
        drawn = verified_png(facts, explanation.oracle, title=f"{title_of(m)}: what was verified")
        made["-verified.png"] = (drawn, f"parts of the photo that keep and change the answer {m.target!r}, as asked")
    if progress:
        made["-progress.png"] = (_progress(explanation, m), f"the map {about} after 32, 64, 128 … queries")
    return made


def names_of(maps: Sequence[TargetMap]) -> list[str]:
    """Return a file name for each map: its target in plain letters, numbered where two files would be called alike."""
    names: list[str] = []
    for m in maps:
        plain = re.sub(r"[^a-z0-9]+", "-", m.target.lower()).strip("-")[:60] or "target"
        taken = sum(name == plain or name.rpartition("~")[0] == plain for name in names)
        reserved = plain.endswith(RESERVED) or f"{plain}.png" == SHEET
        number = taken + 1 if taken or reserved else 0
        names.append(f"{plain}~{number}" if number else plain)
    return names


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def title_of(m: TargetMap) -> str:
    """Return what a map's picture is called."""
    return f"Evidence for {named(m)}" if m.sent.signed else f"What matters for {named(m)}"


def _interval(explanation: Explanation, m: TargetMap, half: NDArray[np.float64]) -> bytes:
    title = f"Where the map of {named(m)} is sure, and how sure"
    unit, stamped = plain_unit(m), stamp(explanation, m)
    return interval_png(explanation.photo, m.values, half, title=title, unit=unit, stamp=stamped)


def _progress(explanation: Explanation, m: TargetMap) -> bytes:
    title = f"{title_of(m)} as queries were answered"
    unit, stamped = plain_unit(m), stamp(explanation, m)
    return progress_png(explanation.photo, stages(explanation, m), title=title, unit=unit, stamp=stamped)
