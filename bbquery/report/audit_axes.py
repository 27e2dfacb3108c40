"""How far an audit is, drawn: a bar for each oracle, of its photos by how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from bbquery.shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bbquery.jobs.audit.summary import Summary

COLOURS = {"complete": "#2a7f62", "partial": "#d9a441", "failed": "#b3392f", "not begun": "#c8ccd0"}
INCHES, OF_A_BAR = (6.4, 1.4), 0.4  # of a figure without bars; a bar more


def draw(summary: Summary, ax: Axes | None) -> Axes:
    """Draw photos by status, oracle by oracle. ax: where to; None makes a figure by pyplot."""
    ax = _new(len(summary.oracles)) if ax is None else ax
    places, left = range(len(summary.oracles)), [0] * len(summary.oracles)
    for status, colour in COLOURS.items():
        counts = [getattr(each, status.replace(" ", "_")) for each in summary.oracles]
        ax.barh(places, counts, left=left, color=colour, label=status)
        left = [before + count for before, count in zip(left, counts, strict=True)]
    ax.set_yticks(places, [each.name for each in summary.oracles])
    ax.invert_yaxis()
    ax.set_xlabel("photos")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(shown(f"audit {summary.name}"))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def _new(bars: int) -> Axes:
    """Return axes in a new figure of pyplot."""
    from matplotlib import pyplot  # noqa: PLC0415 - it chooses a backend, which whoever gives axes has done

    return pyplot.subplots(figsize=(INCHES[0], INCHES[1] + OF_A_BAR * bars), layout="constrained")[1]
