"""Figure of a probe: answers against visibility. Needs matplotlib, of which only objects are used."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bbquery.scoring.base import answered
from bbquery.shown import shown
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.answers import AnswerFigures
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ScoreFigures

WIDTH, HEIGHT, HEADING = 9.6, 3.3, 0.75  # inches; the height is of a target's row of two panels
DPI = 160
FONT = "DejaVu Sans"  # matplotlib brings it along
INK, FAINT, MET, NOT_MET, REFUSED = "#222222", "#777777", "#2166ac", "#d95f02", "#999999"
# blue and orange, filled and hollow: told apart without red-green vision, and in print
LETTERS = 118  # that a line of the heading holds


def draw(probe: Probe) -> bytes:
    """Return a PNG: for each target, the recommended score of every image, and shares of decisions and refusals."""
    rows = len(probe.chosen)
    height = HEADING + rows * HEIGHT
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _heading(figure, probe, height)
    panels = figure.subplots(rows, 2, squeeze=False, gridspec_kw={"width_ratios": [1.35, 1]})
    figure.subplots_adjust(
        left=0.085, right=0.985, bottom=0.62 / height, top=1 - HEADING / height, hspace=0.5, wspace=0.2
    )
    for figures, (left, right) in zip(probe.chosen, panels, strict=True):
        _answers(left, probe, figures)
        _shares(right, probe.came, figures)
    buffer = io.BytesIO()
    canvas.print_png(  # type: ignore[no-untyped-call]  # matplotlib annotates this method in part only
        buffer, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
    )
    figure.clear()
    return buffer.getvalue()


def _heading(figure: Figure, probe: Probe, height: float) -> None:
    given = sum(len(answered(row)) for row in (probe.answers.clean, *probe.answers.rows))
    said = f"{probe.oracle.name}: {given} answers · recommended: {probe.advice.score},"
    lines = [f"{said} {probe.advice.visible:.0%} visible" + " · PARTIAL" * probe.partial, *probe.advice.warnings[:1]]
    for number, line in enumerate(lines):
        text = textwrap.shorten(shown(line), LETTERS, placeholder=" …")
        place, size, colour = (
            (0.985 * height - 0.2 * number) / height,
            9 if number == 0 else 8,
            INK if number == 0 else NOT_MET,
        )
        figure.text(0.02, place, text, va="top", fontsize=size, color=colour, family=FONT, parse_math=False)


def _answers(axes: Axes, probe: Probe, figures: ScoreFigures) -> None:
    """Draw the score of every image that was answered against its visible share, and refusals below."""
    usual = np.array([c.usual for c in probe.answers.design.conditions])[probe.answers.design.condition_of]
    visible, values, decisions = probe.answers.visible[usual], figures.values[usual], figures.decisions[usual]
    for x, own in zip(visible, values, strict=True):
        if not np.isnan(own).any():
            axes.plot([x, x], own, color=FAINT, lw=0.8, zorder=1)  # two answers to one image
    _dots(axes, visible, values, decisions)
    clean = figures.clean[~np.isnan(figures.clean)]
    axes.plot(np.full(len(clean), 1.0), clean, "D", ms=4, color=INK, label="the photo itself", zorder=3, clip_on=False)
    if not math.isnan(figures.about.no_information):
        axes.axhline(figures.about.no_information, color=FAINT, lw=0.8, ls="--", label="says nothing", zorder=0)
    refused = np.isnan(values[:, 0])
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high)
    below = low - 0.04 * (high - low)
    if refused.any():
        axes.plot(visible[refused], np.full(int(refused.sum()), below), "x", ms=5, color=REFUSED, label="no answer")
    lower = "" if figures.about.direction == "higher" else " (lower is nearer)"
    _frame(axes, f"{figures.specification} of “{figures.target}”", f"{figures.about.unit}{lower}")
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("visible share of the photo", fontsize=8, family=FONT)
    if axes.get_legend_handles_labels()[0]:  # a run that was stopped early may have none
        axes.legend(fontsize=7, edgecolor="none", framealpha=0.8, loc="best", ncols=2)


def _dots(axes: Axes, visible: NDArray[np.float64], values: NDArray[np.float64], decisions: NDArray[np.int8]) -> None:
    met = decisions == Decision.MET
    across = np.broadcast_to(visible[:, None], values.shape)
    known = ~np.isnan(values)
    for chosen, colour, fill, label in (
        (known & met, MET, MET, "criterion met"),
        (known & ~met, NOT_MET, "white", "not met"),
    ):
        if chosen.any():
            axes.plot(across[chosen], values[chosen], "o", ms=4.5, mec=colour, mfc=fill, mew=1, label=label, zorder=2)


def _shares(axes: Axes, came: Sequence[AnswerFigures], figures: ScoreFigures) -> None:
    """Draw, for each share of visible cells, how often the criterion is met and how often there is no answer."""
    places = np.arange(len(figures.usual))
    usual = [each for each in came if each.condition.usual]
    _intervals(axes, -0.12, [c.met for c in figures.usual], marker="o", colour=MET, label="criterion met")
    _intervals(axes, 0.12, [c.refused for c in usual], marker="x", colour=REFUSED, label="no answer")
    most = max((c.information for c in figures.usual), default=0.0)
    if most > 0:
        relative = [c.information / most for c in figures.usual]
        axes.bar(places, relative, width=0.7, color="#e8e8e8", zorder=0, label="information of a query")
    _frame(axes, f"reliability of one answer: {_said(figures.reliability)}", "")
    axes.set_xticks(places, [f"{c.condition.visible:.0%}" for c in figures.usual])
    axes.set_xlabel("visible cells; lines: 95 % intervals", fontsize=8, family=FONT)
    axes.set_ylim(-0.03, 1.28)
    axes.set_yticks(np.linspace(0, 1, 5))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    if axes.get_legend_handles_labels()[0]:  # a run that was stopped early may have none
        axes.legend(fontsize=7, frameon=False, loc="upper center", ncols=3, columnspacing=1, handletextpad=0.4)


def _intervals(axes: Axes, shift: float, rates: Sequence[Estimate], *, marker: str, colour: str, label: str) -> None:
    known = [(place + shift, rate) for place, rate in enumerate(rates) if rate.known]
    if not known:
        return
    where, found = np.array([x for x, _ in known]), [e for _, e in known]
    values = np.array([e.value for e in found])
    ends = np.maximum([values - [e.low for e in found], [e.high for e in found] - values], 0)
    axes.errorbar(where, values, yerr=ends, fmt=marker, ms=5, color=colour, lw=1, capsize=2, label=label)


def _said(estimate: Estimate) -> str:
    if not estimate.known:
        return "unknown, nothing moves"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}, {estimate.n} masks)"


def _frame(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(
        textwrap.shorten(shown(title), 66, placeholder=" …"), fontsize=9, family=FONT, loc="left", parse_math=False
    )
    axes.set_ylabel(shown(unit), fontsize=8, family=FONT, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
