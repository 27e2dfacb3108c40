"""Random windows and a Gaussian process (Burke's method, in Mokuwe et al.): hide windows at random places.

Windows of random centre and side are hidden one at a time, y = f(photo) - f(photo with the window hidden), and a
Gaussian process over (u, v, s) predicts y for every window that was not. The map is its mean around each pixel,
averaged over the sides. With one side it is a process over (u, v), as Burke's. See `bayes` for where else to look, and
docs/bayes.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.perturb.checks import at_least_one
from bbquery.perturb.rows import row_generator
from bbquery.perturb.windows import NOTHING_HIDDEN
from bbquery.saliency import Method
from bbquery.saliency._window_states import AT_SIDE, FILL, SIDES, check, implied, needs_library, rectangles
from bbquery.saliency._windows import WindowScores, refuse_blind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, SaliencyMap


@dataclass(frozen=True, kw_only=True)
class RandomWindows(Method):
    """Explain a score by what is lost when windows at random places are hidden, smoothed by a Gaussian process.

    It needs an extra, `bayes`.

    Args:
        queries: images to ask, the photo itself among them; 1 to 2,000.
        windows: sides of the windows to draw from, in pixels of a photo whose shorter side is 224, and in
            proportion for others; above 0.
        length_scale: distance over which drops are alike, in the same unit, for centres and sides; none takes
            what makes the answers likeliest; above 0.
        noise: variance of an answer by chance, as a share of the variance of drops; at least 1e-8.
        fill: what hides: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        batch: images to ask at once; at least 1.

    Raises:
        UsageError: queries below 1 or above 2,000, batch below 1, windows none, repeated or not above 0, length_scale
            not above 0, noise below 1e-8, or fill not a grey level. UnknownName: no filling has this name.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 200
    windows: tuple[float, ...] = SIDES
    length_scale: float | None = 24.0
    noise: float = 1e-3
    fill: str | float = FILL
    batch: int = 256

    def __post_init__(self) -> None:
        check(self.queries, self.windows, self.length_scale, self.noise, self.fill)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for x (H, W, 3) and for x behind windows; return the map, in score lost.

        Raises:
            MissingExtra: scikit-learn is not installed.
            UsageError: every window hides the whole photo.
        """
        needs_library()
        size = (x.shape[0], x.shape[1])
        windows = rectangles(self._drawn(size, seed), size)
        refuse_blind(windows, size)
        rows = np.vstack([NOTHING_HIDDEN, windows])
        scores = WindowScores(x, domain, self.fill, seed)
        for start in range(0, self.queries, self.batch):
            if (yield from scores.ask(rows[start : start + self.batch])) is None:
                break
        return implied(
            scores,
            size,
            windows=self.windows,
            length_scale=self.length_scale,
            noise=self.noise,
            rows=self.queries,
        )

    def _drawn(self, size: tuple[int, int], seed: int) -> NDArray[np.float64]:
        """Return a state (u, v, s) for each window: its centre anywhere on the photo."""
        states = np.empty((self.queries - 1, 3))
        for row in range(len(states)):
            rng = row_generator((seed, 0), row, len(states))
            states[row, :2] = rng.random(2) * np.array(size) / min(size) * AT_SIDE
            states[row, 2] = rng.choice(self.windows)
        return states


METHOD = RandomWindows
