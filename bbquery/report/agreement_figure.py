"""Figure of maps that are compared: tiles, and a table of how much each two agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.report.figure import FAINT, INK, LINE, MARGIN, SMALL, SPACE, Page, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.report.tiles import Sheet

CELL = 0.52  # inches, the width of a number's column
NAMES = 2.6  # of the methods' names
ROW = 1.25 * SMALL * LINE
SHADE = 0.35  # of the strongest background, so that the number on it stays black on light


def draw(sheet: Sheet, methods: Sequence[str], agreement: NDArray[np.float64]) -> bytes:
    """Return the PNG of a sheet and a table. agreement: (n, n), the rank correlation of each two methods' maps."""
    width, height = sheet.size
    rows = len(methods) + 2
    across = max(width, NAMES + len(methods) * CELL + 2 * MARGIN)
    page = Page(across, height + rows * ROW + SPACE)
    sheet.draw(page)
    _table(page, height - MARGIN + SPACE, methods, agreement)
    png = page.png()
    page.figure.clear()  # its parts refer to each other, and would keep their pixels until they are looked for
    return png


def _table(page: Page, top: float, methods: Sequence[str], agreement: NDArray[np.float64]) -> None:
    """Draw the table: methods by name and number in rows, by number alone in columns."""
    page.text(MARGIN, top, ["rank correlation of the maps"])
    head = top + ROW
    for column in range(len(methods)):
        page.text(_right(column), head, [str(column + 1)], align="right", colour=FAINT)
    for row, method in enumerate(methods):
        below = head + (row + 1) * ROW
        page.text(MARGIN, below, wrapped(f"{row + 1}  {method}", SMALL, NAMES)[:1])
        for column in range(len(methods)):
            _cell(page, below, column, float(agreement[row, column]))


def _cell(page: Page, top: float, column: int, value: float) -> None:
    """Write a number, the darker its background the more the maps agree."""
    strength = 0.0 if math.isnan(value) else max(value, 0.0)
    grey = 1 - SHADE * strength
    axes = page.axes(_right(column) - CELL + SPACE / 2, top - 0.02, CELL, ROW)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor((grey, grey, grey))
    for spine in axes.spines.values():
        spine.set_visible(False)
    page.text(_right(column), top, [_shown(value)], align="right", colour=INK)


def _right(column: int) -> float:
    return MARGIN + NAMES + (column + 1) * CELL - SPACE


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}".replace("-", "−")
