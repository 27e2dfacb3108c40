"""An explanation as a folder of files: a picture and an array for each target, and the record of the run."""

from __future__ import annotations

import importlib.util
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.report.files import check_writable, write_bytes
from bbquery.report.overlay import overlay_png
from bbquery.report.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.explanation import Explanation, TargetMap


def prepare(folder: Path) -> Path:
    """Make the folder and see, before anything is asked, that all can be written; return it.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("report", "drawing a map", "matplotlib")
    check_writable(folder)
    return folder


def prepare_many(folder: Path, names: Sequence[str]) -> Path:
    """Likewise for a folder that is to have a folder of each of these names, which are made as they are needed.

    Raises:
        UsageError: one of them cannot be written. MissingExtra: no matplotlib.
    """
    prepare(folder)
    for inner in (folder / name for name in names):
        if inner.exists():  # from an earlier run, or in the way
            check_writable(inner)
    return folder


def write(explanation: Explanation, folder: Path, *, command: Sequence[str], source: str) -> list[Path]:
    """Write the maps (`NAME.npy`, float64 in the photo's coordinates), pictures (`NAME.png`) and `run.json`.

    The record is written last, so that a folder with a record is whole. Return the paths, the record's last.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no matplotlib.
    """
    files: dict[str, str] = {}
    for name, m in zip(_names(explanation.maps), explanation.maps, strict=True):
        write_bytes(folder / f"{name}.npy", _npy(m.values))
        files[f"{name}.npy"] = (
            f"map of {m.target!r}, float64, the photo's coordinates, NaN where the oracle saw nothing"
        )
        write_bytes(folder / f"{name}.png", _picture(explanation, m))
        files[f"{name}.png"] = f"the photo and the map of {m.target!r} on it"
    write_bytes(folder / "run.json", record(explanation, command, source, files))
    return [folder / name for name in (*files, "run.json")]


def _names(maps: Sequence[TargetMap]) -> list[str]:
    """Return a file name for each map: its target in plain letters, numbered where two would be equal."""
    names: list[str] = []
    for m in maps:
        plain = re.sub(r"[^a-z0-9]+", "-", m.target.lower()).strip("-")[:60] or "target"
        taken = sum(name == plain or name.rpartition("~")[0] == plain for name in names)
        names.append(f"{plain}~{taken + 1}" if taken else plain)
    return names


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _picture(explanation: Explanation, m: TargetMap) -> bytes:
    answered = f"{m.sent.answered} of {m.sent.rows} queries" if m.stopped else f"{m.sent.answered} queries"
    partial = " · PARTIAL" if m.stopped else ""
    return overlay_png(
        explanation.photo,
        m.values,
        signed=m.sent.signed,
        title=f"Evidence for “{m.target}”" if m.sent.signed else f"What matters for “{m.target}”",
        caption=f"{type(explanation.method).__name__} · {explanation.oracle.name} · {answered}{partial}",
        unit=m.sent.unit,
    )
