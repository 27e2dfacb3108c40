"""Figure of a probe: answers against visibility. Needs matplotlib, of which only objects are used."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bbquery.jobs.percent import percent
from bbquery.report.figure import LINE, SMALL, TITLE, wrapped
from bbquery.report.record_parts import in_words_of
from bbquery.report.sentence import quantity, quoted
from bbquery.scoring.base import answered
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.answers import AnswerFigures
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ScoreFigures

WIDTH, HEIGHT = 9.6, 3.3  # inches; the height is of a target's row of two panels
MARGIN = 0.2
RECORD = "probe.json"
DPI = 160
FONT = "DejaVu Sans"  # matplotlib brings it along
INK, FAINT, MET, NOT_MET, REFUSED = "#222222", "#777777", "#2166ac", "#d95f02", "#999999"
# blue and orange, filled and hollow: told apart without red-green vision, and in print

HOW_TO_READ = (
    "Left: each dot is the photo with a part of it hidden. Where filled and hollow dots mix, what is hidden decides "
    "the answer, so a map learns most there; dots all alike teach nothing. Right: the taller the grey bar, the more a "
    "query tells; lines are 95 % intervals."
)


def draw(probe: Probe) -> bytes:
    """Return a PNG: for each target, the recommended score of every image, and shares of decisions and refusals."""
    rows = len(probe.chosen)
    title, warned, below = _texts(probe)
    heading = 2 * MARGIN + len(title) * TITLE * LINE + len(warned) * SMALL * LINE + 0.3
    foot = 0.6 + len(below) * SMALL * LINE + MARGIN
    height = heading + rows * HEIGHT + foot - 0.6
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _write(figure, title, MARGIN, height, points=TITLE, colour=INK)
    _write(figure, warned, MARGIN + len(title) * TITLE * LINE, height, points=SMALL, colour=NOT_MET)
    _write(figure, below, height - MARGIN - len(below) * SMALL * LINE, height, points=SMALL, colour=FAINT)
    panels = figure.subplots(rows, 2, squeeze=False, gridspec_kw={"width_ratios": [1.35, 1]})
    figure.subplots_adjust(
        left=0.085, right=0.985, bottom=foot / height, top=1 - heading / height, hspace=0.5, wspace=0.2
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


def _texts(probe: Probe) -> tuple[list[str], list[str], list[str]]:
    """Return what is written, in lines: what was found, the worst warning, and how to read it and what to do."""
    advice, width = probe.advice, WIDTH - 2 * MARGIN
    given = sum(len(answered(row)) for row in (probe.answers.clean, *probe.answers.rows))
    ended = " PARTIAL: it ended early." if probe.partial else ""
    found = (
        f"Best asked with {percent(advice.visible)} of the photo visible and scored by {advice.score}, by {given:,} "
        f"answers of {probe.oracle.name}.{ended}"
    )
    do = "spend no more on this photo and target"
    if advice.queries:
        do = f"explain it with the score {advice.score} and the method {advice.method}, {advice.queries:,} queries"
    return (
        wrapped(found, TITLE, width),
        [line for text in advice.warnings[:1] for line in wrapped(in_words_of(probe, text), SMALL, width)],
        [*wrapped(HOW_TO_READ, SMALL, width), *wrapped(f"What to do: {do}; why is in {RECORD}.", SMALL, width)],
    )


def _write(figure: Figure, lines: list[str], top: float, height: float, *, points: int, colour: str) -> None:
    """Write lines below one another from so many inches below the top."""
    for number, line in enumerate(lines):
        place = 1 - (top + number * points * LINE) / height
        figure.text(MARGIN / WIDTH, place, line, va="top", fontsize=points, color=colour, family=FONT, parse_math=False)


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
        axes.axhline(
            figures.about.no_information, color=FAINT, lw=0.8, ls="--", label="an answer without information", zorder=0
        )
    refused = np.isnan(values[:, 0])
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high)
    below = low - 0.04 * (high - low)
    if refused.any():
        axes.plot(visible[refused], np.full(int(refused.sum()), below), "x", ms=5, color=REFUSED, label="no answer")
    lower = "" if figures.about.direction == "higher" else ", lower is nearer"
    noun = quantity(figures.about).noun.rstrip(",")
    unit = f"{noun}{lower}" if figures.about.unit in noun else f"{noun} ({figures.about.unit}{lower})"
    _frame(axes, f"what the model answered about {quoted(figures.target)}", unit)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of the photo that was visible", fontsize=8, family=FONT)
    if axes.get_legend_handles_labels()[0]:  # a run that was stopped early may have none
        axes.legend(fontsize=7, edgecolor="none", framealpha=0.8, loc="best", ncols=2)


def _dots(axes: Axes, visible: NDArray[np.float64], values: NDArray[np.float64], decisions: NDArray[np.int8]) -> None:
    met = decisions == Decision.MET
    across = np.broadcast_to(visible[:, None], values.shape)
    known = ~np.isnan(values)
    for chosen, colour, fill, label in (
        (known & met, MET, MET, "target kept"),
        (known & ~met, NOT_MET, "white", "target lost"),
    ):
        if chosen.any():
            axes.plot(across[chosen], values[chosen], "o", ms=4.5, mec=colour, mfc=fill, mew=1, label=label, zorder=2)


def _shares(axes: Axes, came: Sequence[AnswerFigures], figures: ScoreFigures) -> None:
    """Draw, for each share of visible cells, how often the criterion is met and how often there is no answer."""
    places = np.arange(len(figures.usual))
    usual = [each for each in came if each.condition.usual]
    _intervals(axes, -0.12, [c.met for c in figures.usual], marker="o", colour=MET, label="target kept")
    _intervals(axes, 0.12, [c.refused for c in usual], marker="x", colour=REFUSED, label="no answer")
    most = max((c.information for c in figures.usual), default=0.0)
    if most > 0:
        relative = [c.information / most for c in figures.usual]
        axes.bar(places, relative, width=0.7, color="#e8e8e8", zorder=0, label="what a query tells")
    _frame(axes, f"how much a query tells; reliability of one answer {_said(figures.reliability)}", "share")
    axes.set_xticks(places, [f"{c.condition.visible:.0%}" for c in figures.usual])
    axes.set_xlabel("share of the photo's cells that were visible", fontsize=8, family=FONT)
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
    across = axes.get_position().width * WIDTH
    axes.set_title("\n".join(wrapped(title, 9, across)), fontsize=9, family=FONT, loc="left", parse_math=False)
    axes.set_ylabel("\n".join(wrapped(unit, SMALL, HEIGHT - 0.6)), fontsize=SMALL, family=FONT, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
