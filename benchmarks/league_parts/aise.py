"""AISE, of OpenVINO's toolkit for explanations: the places of Gaussian windows chosen by DIRECT, a global optimiser.

Each place is judged by two queries, what the window alone shows and what is left without it; the map is the sum of the
windows, each times the difference of the two, first normalised within each of three widths. `ask` takes images and
gives probabilities (n,). Here hidden is grey, as for all methods of the league; the toolkit hides with black.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import direct

from .hiding import Copies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

    from .superpixels import Ask

WIDTHS = (0.1, 0.175, 0.25)  # standard deviations, in sides of the photo: the toolkit's preset "balance"
EPSILON = 0.1  # of DIRECT, as the toolkit sets it
QUERIES_A_WINDOW = 2


class _Enough(Exception):
    """The budget of a width is spent: DIRECT itself looks at it only once an iteration."""


class _Window(NamedTuple):
    place: tuple[float, float]
    score: float


def aise(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - it draws nothing
    """Return the map (H, W) of at most `queries` queries, a third of them for each width."""
    windows = queries // (len(WIDTHS) * QUERIES_A_WINDOW)
    total = np.zeros(x.shape[:2])
    for width in WIDTHS:
        found = sum(score * gaussian(x.shape, place, width) for place, score in _searched(ask, x, width, windows))
        largest = float(np.max(found))
        total += found / largest if largest > 0 else found
    return total


def _searched(ask: Ask, x: Image, width: float, windows: int) -> list[_Window]:
    found: list[_Window] = []
    pixels = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2])

    def loss(place: NDArray[np.float64]) -> float:
        if len(found) == windows:
            raise _Enough
        shown = gaussian(x.shape, (float(place[0]), float(place[1])), width).ravel()
        alone, left = ask(Copies(x, pixels, np.stack([shown, 1 - shown])))
        found.append(_Window((float(place[0]), float(place[1])), float(alone - left)))
        return -found[-1].score

    with contextlib.suppress(_Enough):
        direct(loss, ((0.0, 1.0), (0.0, 1.0)), eps=EPSILON, maxfun=windows + 1, locally_biased=False)
    return found


def gaussian(size: tuple[int, ...], place: tuple[float, float], width: float) -> NDArray[np.float64]:
    """Return a window (H, W), 1 at its place. place: row and column, 0 to 1."""
    rows, columns = (
        np.exp(-((np.linspace(0, 1, n) - at) ** 2) / (2 * width**2)) for n, at in zip(size, place, strict=False)
    )
    found: NDArray[np.float64] = rows[:, None] * columns
    return found
