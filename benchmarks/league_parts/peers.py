"""SRG by queries on photos, of `designed` and the methods that most people know: the picture of the README."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from . import photos
from .statistics import mean
from .words import budgets

if TYPE_CHECKING:
    from .rows import Results

ALONE = "designed, without detail"
PEERS = {
    ALONE: ("designed, answers alone", "#0072B2", "o", -1),
    "designed": ("designed, with the photo's detail", "#56B4E9", "P", 2),
    "Partition/Owen": ("SHAP, Partition", "#D55E00", "s", 2),
    "KernelSHAP": ("KernelSHAP", "#CC79A7", "^", 9),
    "LIME": ("LIME", "#E69F00", "v", -9),
    "RISE, published": ("RISE", "#444444", "D", 2),
}
"""Name, colour, marker, and by how many points the name stands above the end of the line, so that none overlap."""


def drawn(results: Results) -> bytes:
    """Return the picture as PNG; each name stands at the end of its line.

    No intervals: those of means are as wide as photos differ; the league's paired differences say what is told apart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = photos.measured(results, "SRG")
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    known = [method for method in PEERS if any(name == method for name, _ in measured)]
    for method in known:
        name, colour, marker, above = PEERS[method]
        asked = [budget for budget in budgets(measured) if (method, budget) in measured]
        levels = [mean(measured[method, budget]).mean for budget in asked]
        width = 2.8 if method == ALONE else 1.4
        axis.plot(asked, levels, color=colour, marker=marker, markersize=5, linewidth=width)
        axis.annotate(name, (asked[-1], levels[-1]), (8, above), textcoords="offset points", color=colour, va="center")
    at = budgets(measured)
    axis.set_xscale("log", base=2)
    axis.set_xticks(at, [f"{budget:,}" for budget in at])
    axis.set_xlim(right=max(at, default=1) * 3)  # room for the name at the longest line
    axis.set(xlabel="queries", ylabel="SRG: insertion − deletion, higher is better")
    counts = {len(found) for (method, _), found in measured.items() if method in known}
    axis.set_title(f"{' to '.join(map(str, sorted(counts)))} photos, EfficientNet-Lite0", loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#dddddd", linewidth=0.8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
