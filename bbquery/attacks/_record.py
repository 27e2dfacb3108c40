"""Record of an attack: every row asked, the nearest adversarial image, and each improvement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks import AttackResult, Point, Step
from bbquery.plan import Ask, Stopped
from bbquery.types import Decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Images, Scores

GREY_LEVELS = 255.0


def rms(values: NDArray[np.floating]) -> float:
    """Return the root mean square."""
    return math.sqrt(float(np.mean(np.square(values, dtype=np.float64))))


class Record:
    """Asks for an attack on x and records every row, probes included."""

    def __init__(self, x: Image, domain: Domain) -> None:
        self._x = domain.realise(x).astype(np.float64)
        self.best: Image | None = None
        self.rmse = math.inf
        self.queries = 0
        self._undecided = 0
        self._trace: list[Point] = []
        self._steps: list[Step] = []

    def ask(self, images: Images) -> Plan[Scores]:
        """Ask for images and return their scores.

        Raises:
            Stopped: no more can be asked; what was answered is recorded already.
        """
        try:
            scores = yield Ask(images)
        except Stopped as stop:
            self._saw(images, stop.scores)
            self.queries += int((stop.scores.answers > 0).sum())
            raise
        self._saw(images, scores)
        self.queries += len(images)
        self._undecided += int(scores.undecided.sum())
        return scores

    def _saw(self, images: Images, scores: Scores) -> None:
        for row in np.flatnonzero(np.equal(scores.decision, Decision.NOT_MET)).tolist():
            image = images[row]
            distance = rms(image - self._x) / GREY_LEVELS
            if distance < self.rmse:
                self.best, self.rmse = image, distance
                self._trace.append(Point(self.queries + row + 1, distance))

    def stepped(self, sigma: float, scores: Scores) -> None:
        """Record a step."""
        self._steps.append(Step(self.queries, sigma, changed(scores)))

    def result(self) -> AttackResult:
        """Return the result so far."""
        return AttackResult(self.best, self.rmse, self.queries, self._undecided, tuple(self._trace), tuple(self._steps))


def changed(scores: Scores) -> float:
    """Return the share of adversarial rows among those decided; NaN where none is."""
    decided = int((~scores.undecided).sum())
    return int(np.equal(scores.decision, Decision.NOT_MET).sum()) / decided if decided else math.nan
