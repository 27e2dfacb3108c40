"""Figure of deletion and insertion curves. Needs matplotlib."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from bbquery.report.figure import FAINT, GAP, LINE, MARGIN, SMALL, SPACE, TITLE, Page, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

WIDE, HIGH = 5.6, 3.0  # inches, of the axes of one map
SIDE = 3.7  # of each of two
BESIDE, UNDER = 0.6, 0.5  # for the axes' own text
SAMPLE = 0.35  # of a line in the legend
LONGEST_NAME = 60  # letters
# Okabe and Ito's colours without their yellow, which white swallows, then grey; each with a line of its own
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222", "#888888")
LINES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 3)),
)  # fmt: skip


class Curves(Protocol):
    """What is drawn. shares: float64 (k + 1,), the share of pixels taken, 0 to 1; the scores there, NaN unknown."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of pixels taken, most important first."""

    @property
    def deletion(self) -> NDArray[np.float64]:
        """The score with that share hidden."""

    @property
    def insertion(self) -> NDArray[np.float64]:
        """The score with that share revealed."""

    @property
    def deletion_auc(self) -> float:
        """The area below the deletion curve: lower is better."""

    @property
    def insertion_auc(self) -> float:
        """The area below the insertion curve: higher is better."""

    @property
    def srg(self) -> float:
        """Insertion minus deletion."""


def one(curves: Curves, *, title: str, caption: str, unit: str) -> bytes:
    """Return the PNG of one map's curves; see `bbquery.report.curves.curves_png`."""
    width = BESIDE + WIDE
    heading, lines = wrapped(title, TITLE, width), wrapped(caption, SMALL, width)
    legend = (
        f"insertion {_number(curves.insertion_auc)}, higher is better",
        f"deletion {_number(curves.deletion_auc)}, lower is better",
        f"SRG {_number(curves.srg)}, insertion − deletion: the grey area, negative where deletion is above",
    )
    top = MARGIN + len(heading) * TITLE * LINE + SPACE
    below = top + HIGH + UNDER
    page = Page(width + 2 * MARGIN, below + (len(legend) + len(lines)) * SMALL * LINE + SPACE + MARGIN)
    page.text(MARGIN, MARGIN, heading, points=TITLE)
    axes = _axes(page, MARGIN + BESIDE, top, WIDE, unit)
    axes.set_xlabel("share of pixels taken, the most important first", fontsize=SMALL)
    axes.fill_between(curves.shares, curves.deletion, curves.insertion, color=FAINT, alpha=0.15, linewidth=0)
    for place, drawn in enumerate((curves.insertion, curves.deletion)):
        axes.plot(curves.shares, drawn, color=COLOURS[place], linestyle=LINES[place], linewidth=1.6)
        sample(page, MARGIN + BESIDE, below + place * SMALL * LINE, place)
    page.text(MARGIN + BESIDE + SAMPLE + SPACE, below, list(legend))
    page.text(MARGIN + BESIDE, below + len(legend) * SMALL * LINE + SPACE, lines, colour=FAINT)
    return _done(page)


def several(curves: Mapping[str, Curves], *, title: str, caption: str, unit: str) -> bytes:
    """Return the PNG of several maps' curves; see `bbquery.report.curves.overlaid_curves_png`."""
    width = 2 * (BESIDE + SIDE) + GAP
    heading, lines = wrapped(title, TITLE, width), wrapped(caption, SMALL, width)
    top = MARGIN + len(heading) * TITLE * LINE + SPACE
    below = top + SMALL * LINE + HIGH + UNDER
    page = Page(width + 2 * MARGIN, below + (len(curves) + len(lines)) * SMALL * LINE + SPACE + MARGIN)
    page.text(MARGIN, MARGIN, heading, points=TITLE)
    best = sorted(curves, key=lambda name: -curves[name].srg if math.isfinite(curves[name].srg) else math.inf)
    for side, what in enumerate(("deletion: lower is better", "insertion: higher is better")):
        left = MARGIN + BESIDE + side * (SIDE + BESIDE + GAP)
        page.text(left, top, [what], colour=FAINT)
        axes = _axes(page, left, top + SMALL * LINE, SIDE, "" if side else unit)
        axes.set_xlabel("share of pixels revealed" if side else "share of pixels hidden", fontsize=SMALL)
        for place, name in enumerate(best):
            drawn = curves[name].insertion if side else curves[name].deletion
            axes.plot(curves[name].shares, drawn, color=COLOURS[place], linestyle=LINES[place], linewidth=1.4)
    for place in range(len(best)):
        sample(page, MARGIN + BESIDE, below + place * SMALL * LINE, place)
    page.text(MARGIN + BESIDE + SAMPLE + SPACE, below, [_legend(name, curves[name]) for name in best])
    page.text(MARGIN + BESIDE, below + len(best) * SMALL * LINE + SPACE, lines, colour=FAINT)
    return _done(page)


def _axes(page: Page, left: float, top: float, width: float, unit: str) -> Axes:
    axes = page.axes(left, top, width, HIGH)
    axes.set_axis_on()
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=SMALL)
    axes.set_ylabel((wrapped(unit, SMALL, HIGH) or [""])[0], fontsize=SMALL, parse_math=False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.5)
    return axes


def colour(place: int) -> str:
    """Return the colour of a line, by its place among the lines."""
    return COLOURS[place % len(COLOURS)]


def line(place: int) -> str | tuple[float, tuple[float, ...]]:
    """Return what kind of line it is: a second round of the same colours has other kinds."""
    return LINES[(place + place // len(COLOURS)) % len(LINES)]


def sample(page: Page, left: float, top: float, place: int) -> None:
    """Draw a piece of a line as it is among the curves."""
    axes = page.axes(left, top, SAMPLE, SMALL * LINE)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.plot([0, 1], [0.55, 0.55], color=colour(place), linestyle=line(place), linewidth=1.6)


def _legend(name: str, curves: Curves) -> str:
    shown = (wrapped(name, SMALL, 10.0) or [""])[0][:LONGEST_NAME]
    areas = f"insertion {_number(curves.insertion_auc)}, deletion {_number(curves.deletion_auc)}"
    return f"{shown}: SRG {_number(curves.srg)} ({areas})"


def _number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:z.3f}".replace("-", "−")


def _done(page: Page) -> bytes:
    png = page.png()
    page.figure.clear()  # its parts refer to each other, and would keep their pixels until they are looked for
    return png
