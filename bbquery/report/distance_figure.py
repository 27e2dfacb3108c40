"""Figure of distance against queries: the median over photos for each attack. Needs matplotlib."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.attack import statistics
from bbquery.report.attacks_table import distance, hits
from bbquery.report.curves_figure import SAMPLE, colour, line, sample
from bbquery.report.figure import FAINT, LINE, MARGIN, SMALL, SPACE, TITLE, Page, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bbquery.jobs.attack.summary import Row, Summary

WIDE, HIGH = 6.4, 3.6  # inches, of the axes
LEFT, RIGHT, UNDER = 0.65, 0.9, 0.5  # for the axes' own text
GRID = 240  # numbers of queries at which the median is taken
BEYOND = 1.3  # of the largest and smallest distance: how far the axis goes on

MANY = (
    "Solid and dashed lines: the median over photos of the nearest adversarial image so far. A failure is infinitely "
    "far, so a line begins where most photos have one. Band: 95 % interval of the median."
)
FEW = (
    "Strong lines: the median over photos of the nearest adversarial image so far. A failure is infinitely far, so a "
    "line begins where most photos have one. Thin lines: single photos; fewer than "
    f"{statistics.FEWEST} photos have no interval, and what they show may be chance."
)
NOTHING = "no attack found an adversarial image"
THRESHOLDS = "Dotted: distances at which success is counted."


def draw(summary: Summary, *, title: str) -> bytes:
    """Return the PNG of all attacks. Controls have words and no line: they are asked at fixed distances."""
    attacks = [row for row in summary.rows if not row.control]
    width = LEFT + WIDE + RIGHT
    heading = wrapped(title, TITLE, width)
    caption = wrapped(f"{caption_of(attacks)} {THRESHOLDS}", SMALL, width)
    top = MARGIN + len(heading) * TITLE * LINE + SPACE
    below = top + HIGH + UNDER
    controls = [_legend(row) for row in summary.rows if row.control]
    legends = len(attacks) + len(controls)
    page = Page(width + 2 * MARGIN, below + (legends + len(caption)) * SMALL * LINE + SPACE + MARGIN)
    page.text(MARGIN, MARGIN, heading, points=TITLE)
    axes = page.axes(MARGIN + LEFT, top, WIDE, HIGH)
    most = _axes(axes, attacks, summary.thresholds)
    for place, row in enumerate(attacks):
        _attack(axes, row, place, most)
        if _is_drawn(row):
            sample(page, MARGIN + LEFT, below + place * SMALL * LINE, place)
    if not any(map(_is_drawn, attacks)):
        axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", fontsize=TITLE, color=FAINT)
    page.text(MARGIN + LEFT + SAMPLE + SPACE, below, [*map(_legend, attacks), *controls])
    page.text(MARGIN, below + legends * SMALL * LINE + SPACE, caption, colour=FAINT)
    png = page.png()
    page.figure.clear()  # its parts refer to each other, and would keep their pixels until they are looked for
    return png


def caption_of(attacks: list[Row]) -> str:
    """Return what the lines are."""
    few = [row.photos < statistics.FEWEST for row in attacks]
    return FEW if any(few) else MANY


def queries_of(row: Row) -> NDArray[np.int64]:
    """Return the numbers of queries at which an attack's median is taken, to the last that any photo asked."""
    most = max((finding.queries for finding in row.findings), default=1)
    return np.unique(np.rint(np.linspace(1, max(most, 1), GRID)).astype(np.int64))


def _axes(axes: Axes, attacks: list[Row], thresholds: tuple[float, ...]) -> float:
    """Prepare the axes; return the largest distance that they show."""
    axes.set_axis_on()
    axes.set_yscale("log")
    end = max((int(queries_of(row)[-1]) for row in attacks), default=1)
    axes.set_xlim(0, max(end, 2))
    traced = [point.rmse for row in attacks for finding in row.findings for point in finding.trace]
    top = BEYOND * max([*traced, *thresholds])
    axes.set_ylim(min([value for value in traced if value > 0] + list(thresholds)) / BEYOND, top)
    axes.tick_params(labelsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_plain)
    axes.set_xlabel("queries of the attack", fontsize=SMALL)
    axes.set_ylabel("RMSE of the nearest adversarial image", fontsize=SMALL)
    axes.grid(visible=True, color="#eeeeee", linewidth=0.5)
    for threshold in thresholds:
        axes.axhline(threshold, color=FAINT, linewidth=0.8, linestyle=":")
        place = (1.01, threshold)
        across = ("axes fraction", "data")
        axes.annotate(f"RMSE {threshold:g}", place, xycoords=across, fontsize=SMALL, color=FAINT, va="center")
    return top


def _plain(value: float, _: object) -> str:
    return f"{value:,g}"


def _attack(axes: Axes, row: Row, place: int, most: float) -> None:
    if not row.findings:
        return
    queries, own = queries_of(row), colour(place)
    distances = np.stack([finding.distances(queries) for finding in row.findings])
    medians = [statistics.median(list(column)) for column in distances.T]
    middle = np.array([each.value for each in medians])
    low, high = (np.array([getattr(each, end) for each in medians]) for end in ("low", "high"))
    if row.photos < statistics.FEWEST:
        for single in distances:
            axes.plot(queries, _finite(single), color=own, linewidth=0.6, alpha=0.45, drawstyle="steps-post")
    else:
        top = np.where(np.isinf(high), most, high)
        axes.fill_between(queries, low, top, where=np.isfinite(low), color=own, alpha=0.13, linewidth=0, step="post")
    axes.plot(queries, _finite(middle), color=own, linestyle=line(place), linewidth=1.8, drawstyle="steps-post")


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, math.nan)


def _is_drawn(row: Row) -> bool:
    """Whether there is any line of it."""
    return any(math.isfinite(finding.rmse) for finding in row.findings)


def _legend(row: Row) -> str:
    found = sum(math.isfinite(finding.rmse) for finding in row.findings)
    within = ", ".join(f"{hits(share)} within {limit:g}" for limit, share in row.successes.items())
    photos = f"{row.photos} {'photo' if row.photos == 1 else 'photos'}, {found} adversarial at any distance, {within}"
    if row.control:
        return f"{row.given} (no line): {photos}"
    ends = ""
    if not math.isnan(row.median.low):
        ends = f" [{distance(row.median.low)}, {distance(row.median.high)}]"
    return f"{row.given}: {photos}; median {distance(row.median.value)}{ends}"
