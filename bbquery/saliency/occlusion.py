"""Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks"): hide each window in turn.

The photo itself is asked first, then the photo behind each window of a regular grid that covers it. A pixel's value is
the score of the photo minus the score with a window hidden, averaged over the windows that cover the pixel (each by
the share of the pixel that it covers). Positive is evidence for the target: without it the score falls.

For a score that is linear in what is visible, f = b + Σ aₚ mₚ over the pixels p, that is the mean of the windows' sums
Σ aₚ: the sum of the evidence in a window's size around the pixel, smoothed by the window's own shape. So a map's values
grow with the window, and do not add up to the score.

Nothing is chosen at random but the order, which is shuffled so that a run that is stopped has looked everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.baselines import known_fill
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.windows import NOTHING_HIDDEN, covered
from bbquery.saliency import Method
from bbquery.saliency._windows import WindowScores, refuse_blind
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

SHARE = 1 / 3  # of the photo's side that a window has where none is said: a smaller one leaves a sure model sure
OVERLAP = 2.0  # windows in strides, at least: each pixel is then hidden by about four windows
UNIT = "mean score lost by hiding a window over the pixel"


@dataclass(frozen=True, kw_only=True)
class Occlusion(Method):
    """Explain a score by what is lost when each window of a grid is hidden.

    With a stride the grid is what it is, from edge to edge, and refused before anything is asked if it takes more
    than `queries`.

    Args:
        queries: images to ask at most, the photo itself among them; at least 1.
        window: side of the square windows, in pixels; none takes a third of the photo's side, or twice the
            stride where that is more; above 0.
        stride: from one window to the next, in pixels; none spreads windows evenly, as finely as the queries
            allow; above 0.
        fill: what hides: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        batch: images to ask at once; at least 1.

    Raises:
        UsageError: queries or batch below 1, window or stride not above 0, or fill not a grey level.
        UnknownName: no filling has this name.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    window: float | None = None
    stride: float | None = None
    fill: str | float = "grey"
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        for name, value in (("window", self.window), ("stride", self.stride)):
            if value is not None:
                positive(name, value)
        known_fill(self.fill)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for x (H, W, 3) and for x behind windows; return the map, in score (see `UNIT`).

        Raises:
            UsageError: on a photo of this size the grid takes more than `queries`, or every window hides all of it.
        """
        size = (x.shape[0], x.shape[1])
        windows = self._windows(size)
        refuse_blind(windows, size)
        shuffled = windows[np.random.default_rng(seed).permutation(len(windows))]
        rows = np.vstack([NOTHING_HIDDEN, shuffled])
        scores = WindowScores(x, domain, self.fill, seed)
        for start in range(0, len(rows), self.batch):
            if (yield from scores.ask(rows[start : start + self.batch])) is None:
                break
        return _map(scores, size, rows=len(rows))

    def _windows(self, size: tuple[int, int]) -> NDArray[np.float64]:
        if self.stride is None:
            return spread(self.queries - 1, size, self.window)
        windows = grid(size, self.window or max(round(SHARE * min(size)), OVERLAP * self.stride), self.stride)
        if len(windows) + 1 > self.queries:
            raise UsageError(
                f"a stride of {self.stride:g} on {size[0]} × {size[1]} pixels makes {len(windows)} windows, with the "
                f"photo itself {len(windows) + 1} queries: allow queries={len(windows) + 1}, or take a longer stride"
            )
        return windows


def _map(scores: WindowScores, size: tuple[int, int], rows: int) -> SaliencyMap:
    return SaliencyMap(
        averaged(*scores.drops(), size),
        signed=True,
        unit=UNIT,
        rows=rows,
        answered=scores.answered,
        visibility=scores.visibility(),
        notes=scores.notes(),
    )


def averaged(windows: NDArray[np.float64], drops: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return each pixel's mean of the drops (n,) of the windows (n, 4) that cover it, (H, W); 0 where none does."""
    total, cover = np.zeros(size), np.zeros(size)
    for window, drop in zip(windows, drops, strict=True):
        where, shares = covered(window, size)
        total[where] += drop * shares
        cover[where] += shares
    return np.divide(total, cover, out=np.zeros(size), where=cover > 0)


def grid(size: tuple[int, int], side: float, stride: float) -> NDArray[np.float64]:
    """Return the square windows (n, 4) of this side, a stride apart, the last of each axis at the photo's edge."""
    tops, lefts = (_steps(pixels, min(side, pixels), stride) for pixels in size)
    top, left = (edges.ravel() for edges in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([top, left, top + min(side, size[0]), left + min(side, size[1])], axis=1)


def _steps(pixels: int, side: float, stride: float) -> NDArray[np.float64]:
    return np.append(np.arange(0, pixels - side, stride), pixels - side)


def spread(count: int, size: tuple[int, int], side: float | None) -> NDArray[np.float64]:
    """Return exactly `count` windows (count, 4), as evenly as they go: rows of about as many as fit the photo's shape.

    side: of square windows; None for windows of `SHARE` of the photo on each axis, or of `OVERLAP` times the distance
    to the next where that is more, so that every pixel is covered.
    """
    if not count:
        return np.empty((0, 4))
    rows = int(np.clip(round((count * size[0] / size[1]) ** 0.5), 1, count))
    per_row = np.diff(np.arange(rows + 1) * count // rows)  # differ by 1 at most
    top, bottom = _evenly(rows, size[0], side)
    across = [_evenly(int(here), size[1], side) for here in per_row]
    left, right = (np.concatenate(edges) for edges in zip(*across, strict=True))
    return np.stack([np.repeat(top, per_row), left, np.repeat(bottom, per_row), right], axis=1)


def _evenly(count: int, pixels: int, side: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where `count` intervals start and stop that are spread from 0 to `pixels`."""
    length = min(side or max(SHARE * pixels, OVERLAP * pixels / (count + OVERLAP - 1)), pixels)
    start = np.linspace(0, pixels - length, count) if count > 1 else np.array([(pixels - length) / 2])
    return start, start + length


METHOD = Occlusion
