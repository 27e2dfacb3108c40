"""Greedy subset selection of superpixels, afresh from SMDL-Attribution and LiMA (Chen et al., ICLR 2024 and after).

The order in which superpixels are taken is the map: next is always the one with which a set's worth rises most. Of the
four parts of the papers' worth, two only ask: how likely the class is when the set alone is shown (consistency), and
how unlikely when it alone is hidden (collaboration). The others need a network's features or its training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.segmentation import slic

from .hiding import Copies

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Image

    from .superpixels import Ask

    Cells = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
    """From visible cells (n, cells) to scores (n,)."""

COMPACTNESS = 10


def greedy(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - it draws nothing
    """Return the order of the most superpixels that can all be put in order: the first taken is highest."""
    segments = _segments(x, int(((4 * queries + 1) ** 0.5 - 1) / 2))
    values = ranked(lambda shown: ask(Copies(x, segments, shown)), int(segments.max()) + 1, queries)
    found: NDArray[np.float64] = values[segments]
    return found


def _segments(x: Image, most: int) -> NDArray[np.int64]:
    """Return superpixels (H, W), no more than `most`, of which SLIC takes the number as a wish."""
    for wish in range(3 * most, 0, -1):
        found = np.unique(slic(x, n_segments=wish, compactness=COMPACTNESS), return_inverse=True)[1].reshape(
            x.shape[:2]
        )
        if found.max() < most:
            return np.asarray(found, dtype=np.int64)
    return np.zeros(x.shape[:2], dtype=np.int64)


def ranked(ask: Cells, cells: int, queries: int) -> NDArray[np.float64]:
    """Return the rank of each cell, `cells` for the first taken; two queries a candidate, as many rounds as they last.

    Those that no round took follow by what the last round said of them.
    """
    taken = np.zeros(cells, dtype=np.bool_)
    values, worth = np.zeros(cells), np.zeros(cells)
    for place in range(cells):
        left = np.flatnonzero(~taken)
        queries -= 2 * len(left)
        if queries < 0:
            break
        sets = taken | (np.arange(cells) == left[:, None])
        worth[left] = ask(sets) - ask(~sets)
        best = left[np.argmax(worth[left])]
        taken[best], values[best] = True, cells - place
    left = np.flatnonzero(~taken)
    values[left[np.argsort(worth[left], kind="stable")]] = np.arange(1, len(left) + 1)
    return values
