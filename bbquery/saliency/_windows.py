"""Score changes by hidden window: the statistics that occlusion and its relatives share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.baselines import filled
from bbquery.perturb.visibility import VisibilityCount
from bbquery.perturb.windows import HiddenWindows, hidden_shares
from bbquery.plan import Ask, Stopped

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from bbquery.types import Domain, Image, Scores, Visibility

NO_REFERENCE = (
    "The photo itself was not answered, so drops are measured from the mean of the answered copies and add up to zero: "
    "read the map as a ranking, or ask again for a map whose zero means no evidence."
)


def refuse_blind(windows: NDArray[np.float64], size: tuple[int, int]) -> None:
    """Check that windows (n, 4) on photos of this height and width leave something to be seen.

    Raises:
        UsageError: there are several, and each hides the whole photo.
    """
    if len(windows) > 1 and (hidden_shares(windows, size) == 1).all():
        raise UsageError(
            f"every window would hide the whole photo of {size[0]} × {size[1]} pixels, and all answers would be to the "
            "same image: take smaller windows"
        )


class WindowScores:
    """The scores of x (H, W, 3) behind windows, and of x itself behind `NOTHING_HIDDEN`, which is to come first."""

    def __init__(self, x: Image, domain: Domain, fill: str | float, seed: int) -> None:
        self._x, self._domain, self._filled = x, domain, filled(fill, x, seed)
        self._size = (x.shape[0], x.shape[1])
        self._visibility = VisibilityCount()
        self._windows, self._values = np.empty((0, 4)), np.empty(0)

    def ask(self, windows: NDArray[np.float64]) -> Generator[Ask, Scores, NDArray[np.float64] | None]:
        """Ask for the photo behind each window (n, 4), in pixels; return their scores (n,), None once stopped."""
        try:
            scores = yield Ask(HiddenWindows(self._x, windows, self._domain, self._filled))
        except Stopped as stop:
            answered = np.flatnonzero(stop.scores.answers)
            self._add(windows[answered], stop.scores.value[answered], stop.scores.answers[answered])
            return None
        self._add(windows, scores.value, scores.answers)
        return scores.value

    def _add(self, windows: NDArray[np.float64], values: NDArray[np.float64], answers: NDArray[np.int64]) -> None:
        self._windows = np.vstack([self._windows, windows])
        self._values = np.concatenate([self._values, values])
        self._visibility.add(1 - hidden_shares(windows, self._size), answers)

    @property
    def answered(self) -> int:
        """Number of rows answered, the photo itself among them."""
        return int(np.count_nonzero(self._answered))

    @property
    def _answered(self) -> NDArray[np.bool_]:
        return ~np.isnan(self._values)

    @property
    def _hiding(self) -> NDArray[np.bool_]:
        hiding: NDArray[np.bool_] = np.any(self._windows != 0, axis=1)
        return hiding

    @property
    def reference(self) -> float:
        """The photo's own score; the mean of the answered copies where it has none; 0 without an answer."""
        own = self._values[self._answered & ~self._hiding]
        if len(own):
            return float(own[0])
        values = self._values[self._answered]
        if not len(values):
            return 0.0
        return float(values[0] + (values - values[0]).mean())  # exact where all are equal: no rounding is evidence

    def drops(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the answered windows (n, 4) and how far the score fell behind each: reference minus score, (n,)."""
        rows = self._answered & self._hiding
        return self._windows[rows], self.reference - self._values[rows]

    def visibility(self) -> tuple[Visibility, ...]:
        """Return how often copies of which about a share was visible were left unanswered."""
        return self._visibility.ranges()

    def notes(self) -> tuple[str, ...]:
        """Return what a person who reads the map must know."""
        has_own = bool((self._answered & ~self._hiding).any())
        return () if has_own or not self.answered else (NO_REFERENCE,)
