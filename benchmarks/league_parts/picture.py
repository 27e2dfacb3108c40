"""SRG by queries, of games and of photos, in one picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from . import photos, play
from .rows import table
from .statistics import mean
from .words import budgets, subjects

if TYPE_CHECKING:
    import numpy as np

    from .rows import Results, Table

PANELS = {
    "ViT-B/32, 4 × 4 cells": (play.PART, "vit_b32_grid16"),
    "ResNet-18, 14 superpixels": (play.PART, "resnet18_superpixel14"),
    "EfficientNet-Lite0, photos": (photos.PART, ""),
}
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#AAAAAA",
)  # fmt: skip  # told apart by colour-blind people too (Okabe and Ito; Tol)
ROUNDS = (("o", "-"), ("s", "--"), ("^", ":"))  # marker and line: where colours come again, these are others
MANY = 2  # budgets, so that there is a line to draw
CLOSE = 0.01  # of two levels, so that their names would overlap


def drawn(results: Results) -> bytes:
    """Return the picture as PNG: a line a method that was measured at several budgets.

    No intervals: those of means are as wide as photos differ and say nothing about methods, which the tables' paired
    differences do.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tables = [
        _widely(table([row for row in results.of(part) if row.subject.startswith(prefix)], "SRG"))
        for part, prefix in PANELS.values()
    ]
    looks = _looks(tables)
    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(PANELS))
    for axis, title, measured in zip(axes, PANELS, tables, strict=True):
        _panel(axis, title, measured, looks)
    handles, names = _legend(axes)
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _looks(tables: list[Table]) -> dict[str, dict[str, str]]:
    """Return colour, marker and line of each method: no two of them have all alike."""
    names = sorted({name for measured in tables for name in _lines(measured)}, key=lambda n: (n != "designed", n))
    looks = [{"color": colour, "marker": marker, "linestyle": line} for marker, line in ROUNDS for colour in COLOURS]
    return dict(zip(names, looks, strict=False))


def _widely(measured: Table) -> Table:
    """Leave out what was measured on fewer than half of the subjects: others' means are of other photos."""
    most = max(map(len, measured.values()), default=0)
    return {entry: found for entry, found in measured.items() if 2 * len(found) >= most}


def _lines(measured: Table) -> list[str]:
    counts = [name for name, budget in measured if budget]
    return sorted({name for name in counts if counts.count(name) >= MANY})


def _panel(axis: Any, title: str, measured: Table, looks: dict[str, dict[str, str]]) -> None:
    for name in _lines(measured):
        most = subjects(measured, name)  # a point over fewer of them would be of other photos
        asked = [budget for budget in budgets(measured) if len(measured.get((name, budget), {})) == most]
        found = [mean(measured[name, budget]) for budget in asked]
        width = 2.5 if name == "designed" else 1.2
        axis.plot(asked, [f.mean for f in found], label=name, markersize=4, linewidth=width, **looks[name])
    _levels(axis, {name: mean(values).mean for (name, budget), values in measured.items() if budget == 0})
    if measured:
        axis.set_xscale("log", base=2)
        axis.set_xticks(budgets(measured), [str(b) for b in budgets(measured)])
    axis.set(title=title, xlabel="queries", ylabel="SRG (insertion − deletion)")


def _levels(axis: Any, levels: dict[str, float]) -> None:
    """Draw what asks nothing as a level with its name above, or below where another level is close above."""
    for place, (name, level) in enumerate(sorted(levels.items())):
        style = ("--", ":", "-.", (0, (1, 4)), (0, (6, 2)))[place % 5]
        side = "top" if any(level < other < level + CLOSE for other in levels.values()) else "bottom"
        axis.axhline(level, color="grey", linewidth=0.8, linestyle=style)
        axis.text(0.01, level, name, transform=axis.get_yaxis_transform(), fontsize=6, color="grey", va=side)


def _legend(axes: np.ndarray[Any, Any]) -> tuple[list[Any], list[str]]:
    found = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    return list(found.values()), list(found)
