"""Figure of an attack: clean and adversarial pixels, their difference, and distance against queries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.report.attack_headline import became, counted_labels, distance_in_words, headline, outcome
from bbquery.report.figure import FAINT, GAP, INK, LINE, MARGIN, SMALL, SPACE, TITLE, Page, wrapped
from bbquery.specification import constructor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import Norm
    from bbquery.jobs.attack.result import Stress
    from bbquery.types import Image

NORMS: dict[Norm, str] = {"l2": "RMSE", "linf": "L∞"}
PANEL = 2.6  # inches, the longer side of a picture
CHART = 1.9
LINES = (
    "line: {norm} of the nearest image so far that reached the goal when it was asked, to the last query (dot); "
    "dotted: the distances at which success is reported"
)
AXIS = 0.5  # below the chart, for its axis
SHOWN = 99.5  # per cent of the differences that amplifying must not cut off
GREY = 127.5


def amplified(clean: Image, changed: Image) -> tuple[NDArray[np.uint8], float]:
    """Return the change on mid-grey, enlarged so that it can be seen, and the factor; both (H, W, 3) uint8."""
    change = changed.astype(np.float64) - clean
    most = max(float(np.percentile(np.abs(change), SHOWN)), 1.0)
    factor = float(f"{GREY / most:.2g}")
    return np.clip(np.rint(GREY + factor * change), 0, 255).astype(np.uint8), factor


def difference(clean: Image, changed: Image) -> bytes:
    """Return a PNG of the amplified change, with its factor below it."""
    pixels, factor = amplified(clean, changed)
    width, height = _sides(pixels)
    captions = wrapped(_caption(factor), SMALL, max(width, PANEL))
    page = Page(max(width, PANEL) + 2 * MARGIN, height + 2 * MARGIN + SPACE + len(captions) * SMALL * LINE)
    _picture(page, pixels, MARGIN, MARGIN)
    page.text(MARGIN, MARGIN + height + SPACE, captions, colour=FAINT)
    return page.png()


def overview(stress: Stress) -> bytes:
    """Return a PNG of everything; `stress` has found an image."""
    assert stress.found is not None  # noqa: S101 - the caller has looked
    assert stress.found.best is not None  # noqa: S101 - likewise
    change, factor = amplified(stress.x, stress.found.best)
    width, height = _sides(change)
    column = max(width, PANEL)
    total = 3 * column + 2 * GAP
    title = wrapped(became(stress), TITLE, total)
    far = distance_in_words(stress.found.rmse, stress.found.linf)
    details = wrapped(f"{far} {_details(stress)}", SMALL, total)
    under = MARGIN + len(title) * TITLE * LINE
    below = under + len(details) * SMALL * LINE + SPACE
    captions = [
        wrapped(text, SMALL, column) for text in ("clean, as sent", f"{_kind(stress)}, as sent", _caption(factor))
    ]
    chart = below + height + SPACE + max(map(len, captions)) * SMALL * LINE + 2 * SPACE
    lines = wrapped(LINES.format(norm=NORMS[stress.found.norm]), SMALL, total)
    page = Page(total + 2 * MARGIN, chart + CHART + AXIS + len(lines) * SMALL * LINE + MARGIN)
    page.text(MARGIN, MARGIN, title, points=TITLE)
    page.text(MARGIN, under, details, colour=FAINT)
    for place, pixels in enumerate((stress.x, stress.found.best, change)):
        left = MARGIN + place * (column + GAP)
        _picture(page, pixels, left, below)
        page.text(left, below + height + SPACE, captions[place], colour=FAINT)
    _curve(page, stress, chart, total)
    page.text(MARGIN, chart + CHART + AXIS, lines, colour=FAINT)
    return page.png()


def _details(stress: Stress) -> str:
    """Return what came of it, and of which attack on which oracle that is."""
    ended = ", partial: it ended early" if stress.partial else ""
    return f"{stress.oracle.name}, {constructor(stress.attack)}{ended}. {headline(stress)}"


def _kind(stress: Stress) -> str:
    now = counted_labels(stress.labels)
    ended = outcome(stress)
    what = ended if ended == "adversarial" else f"found, but {ended}"
    return f"{what}: {now}" if now else what


def _caption(factor: float) -> str:
    return f"found minus clean, times {factor:g}, on mid-grey"


def _sides(pixels: Image) -> tuple[float, float]:
    """Return width and height in inches."""
    scale = PANEL / max(pixels.shape[:2])
    return pixels.shape[1] * scale, pixels.shape[0] * scale


def _picture(page: Page, pixels: Image, left: float, top: float) -> None:
    axes = page.axes(left, top, *_sides(pixels))
    axes.imshow(pixels, aspect="auto", interpolation="antialiased", origin="upper")


def _is_power_of_ten(value: float) -> bool:
    return value > 0 and math.isclose(math.log10(value), round(math.log10(value)), abs_tol=1e-9)


def _curve(page: Page, stress: Stress, top: float, width: float) -> None:
    """Draw the best distance against queries, by the attack's norm, with the thresholds of that."""
    assert stress.found is not None  # noqa: S101 - as above
    trace, norm = stress.found.trace, NORMS[stress.found.norm]
    by_rmse = stress.found.norm == "l2"
    end = max(stress.found.queries, trace[-1].queries)
    queries = [*(point.queries for point in trace), end]
    nearest = [point.rmse if by_rmse else point.linf for point in trace]
    distances = [*nearest, nearest[-1]]
    axes = page.axes(MARGIN + 0.6, top, width - 1.4, CHART)
    axes.set_axis_on()
    axes.set_yscale("log")
    axes.step(queries, distances, where="post", color=INK, linewidth=1.2, zorder=3)
    axes.plot(queries[-1], distances[-1], ".", color=INK, clip_on=False, zorder=3)  # one query alone draws no line
    for part in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        part(lambda value, _: f"{value:g}" if _is_power_of_ten(value) else "")
    for threshold in stress.thresholds if by_rmse else stress.linf_thresholds:
        axes.axhline(threshold, color=FAINT, linewidth=0.6, linestyle=":")
        axes.annotate(
            f"{norm} {threshold:g}",
            (1.005, threshold),
            xycoords=("axes fraction", "data"),
            fontsize=SMALL,
            color=FAINT,
            va="center",
        )
    axes.set_xlim(0, end)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("queries", fontsize=SMALL)
    axes.set_ylabel(f"best {norm} so far", fontsize=SMALL)
