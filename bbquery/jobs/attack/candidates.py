"""Candidates of a search: adversarial images that were asked, kept in case the nearest one is refuted.

Where a model errs by chance, the nearest image is often one that it got wrong once, and so are others near it. So what
is kept lies at clearly different distances: the nearest image of each *rung*, whose ends differ by a fifth, and of
rungs the few nearest. That is all that is held of images, however many are asked. Each candidate takes five queries of
verification, or fifteen where the clean label flips. They are set aside from the search: at most a small share of it,
and nothing where more than a tenth of the clean answers lack the label: there chance could pass for success too often
(`tests/jobs/attack/test_chance.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bbquery.attacks import AttackResult, Norm, Point
from bbquery.plan import Stopped, Yielded, step
from bbquery.types import Decision

if TYPE_CHECKING:
    from bbquery.jobs.attack.votes import Votes
    from bbquery.plan import Plan
    from bbquery.types import Image, Images, Scores

T = TypeVar("T")

GREY_LEVELS = 255.0
RUNG = 1.2  # the ratio of a rung's ends
LEAST = 1e-9  # 0 to 1: below any distance of 8-bit pixels
FURTHER = 4  # candidates beside the nearest image; on small models with 5 % random labels they were mostly enough
STEADY_SHARE, FLIPPING_SHARE = 25, 10  # of so many queries of a search one may go to further candidates
MOST_ERRING = 0.1  # the share of the clean answers


def further(queries: int, each: int, clean: Votes) -> int:
    """Return how many further candidates a search of so many queries can afford. each: queries that one takes."""
    if clean.left > MOST_ERRING * (clean.kept + clean.left):
        return 0
    return min(FURTHER, queries // (FLIPPING_SHARE if clean.left else STEADY_SHARE) // each)


def tries(refuted: int) -> int:
    """Return among how many images one was chosen by the answers of verifications. refuted: how many before it."""
    return 1 + FURTHER if refuted else 1


@dataclass(frozen=True, eq=False)
class Candidate:
    """An adversarial image that was asked. point: its place among the rows asked, and its distances, 0 to 1."""

    image: Image
    point: Point

    def distance(self, norm: Norm) -> float:
        """Return its distance by a norm."""
        return self.point.rmse if norm == "l2" else self.point.linf

    def reported(self, result: AttackResult) -> AttackResult:
        """Return a result with this as its best image: nothing nearer is left in the trace."""
        norm = result.norm
        passed = [point for point in result.trace if _distance(point, norm) > _distance(self.point, norm)]
        return replace(result, best=self.image, rmse=self.point.rmse, linf=self.point.linf, trace=(*passed, self.point))


def _distance(point: Point, norm: Norm) -> float:
    return point.rmse if norm == "l2" else point.linf


class Candidates:
    """Keeps the candidates of a plan that looks for images near `x`, (H, W, 3) uint8."""

    def __init__(self, x: Image) -> None:
        self._x = x
        self._asked = 0
        self._rungs: dict[Norm, dict[int, Candidate]] = {"l2": {}, "linf": {}}

    def of(self, plan: Plan[T]) -> Plan[T]:
        """Run a plan, and keep what is adversarial of what it asks."""
        sent: Scores | Stopped | None = None
        while isinstance(state := step(plan, sent), Yielded):
            try:
                sent = scores = yield state.ask
            except Stopped as stop:
                sent, scores = stop, stop.scores
            self._saw(state.ask.images, scores)
        return state.result

    def beyond(self, result: AttackResult) -> list[Candidate]:
        """Return what lies farther than the best image of a result, by its norm, the nearest first."""
        nearest = _rung(result.rmse if result.norm == "l2" else result.linf)
        return [candidate for rung, candidate in sorted(self._rungs[result.norm].items()) if rung > nearest]

    def _saw(self, images: Images, scores: Scores) -> None:
        for row in np.flatnonzero(np.equal(scores.decision, Decision.NOT_MET)).tolist():
            image = images[row]
            levels = np.subtract(image, self._x, dtype=np.int16).astype(np.float64).reshape(-1)
            size, most = math.sqrt(float(np.mean(np.square(levels)))), float(np.abs(levels).max())
            self._keep(Candidate(image, Point(self._asked + row + 1, size / GREY_LEVELS, most / GREY_LEVELS)))
        self._asked += len(images)

    def _keep(self, candidate: Candidate) -> None:
        for norm, rungs in self._rungs.items():
            rung = _rung(distance := candidate.distance(norm))
            if rung not in rungs or distance < rungs[rung].distance(norm):
                rungs[rung] = candidate
            if len(rungs) > 1 + FURTHER:
                del rungs[max(rungs)]


def _rung(distance: float) -> int:
    """Return the number of a distance's rung; that of the clean image itself is below all."""
    return math.floor(math.log(max(distance, LEAST), RUNG))
