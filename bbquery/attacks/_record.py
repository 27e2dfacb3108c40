"""Record of an attack: every row asked, the nearest adversarial image, each improvement, and the end of the budget."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks import AttackResult, Point, Step
from bbquery.plan import Ask, Rows, Stopped, concatenate
from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import Norm
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Images

GREY_LEVELS = 255.0


def rms(values: NDArray[np.floating]) -> float:
    """Return the root mean square."""
    return math.sqrt(float(np.mean(np.square(values, dtype=np.float64))))


class Record:
    """Asks for an attack on `x`, at most `queries` rows, and records every one, probes included.

    x: the clean pixels as they are sent, (H, W, 3) float64 in grey levels. best: the nearest adversarial image by
    `norm`, and `distance`, in grey levels: RMS or largest change; infinite without one. left: rows that may be asked.
    """

    def __init__(self, x: Image, domain: Domain, queries: int, norm: Norm = "l2") -> None:
        self.domain, self.norm = domain, norm
        self._sent = domain.realise(x)
        self.x: NDArray[np.float64] = self._sent.astype(np.float64)
        self.best: Image | None = None
        self.distance = math.inf
        self.queries, self.left = 0, queries
        self._undecided = 0
        self._trace: list[Point] = []
        self._steps: list[Step] = []

    @property
    def rmse(self) -> float:
        """RMSE of the nearest adversarial image, 0 to 1; infinite without one."""
        return self._trace[-1].rmse if self._trace else math.inf

    def run(self, search: Plan[None]) -> Plan[AttackResult]:
        """Run a search to its end, or until no more can be asked, and return the nearest adversarial image."""
        with suppress(Stopped):
            yield from search
        return self.result()

    def pixels(self, values: NDArray[np.floating]) -> Image:
        """Return the photo nearest to `values`, as it is sent: within 0 to 255 in every domain."""
        if self.domain.dtype == "uint8":  # which clips by itself
            return self.domain.realise(values)
        return self.domain.realise(np.clip(values, 0, GREY_LEVELS))

    def ask(self, images: Images) -> Plan[Scores]:
        """Ask for images and return their scores.

        Raises:
            Stopped: no more can be asked, or all queries are; what was answered is recorded already.
        """
        if not self.left and len(images):
            raise Stopped("all its queries are asked", Scores.blank(len(images)))
        fitting = images if len(images) <= self.left else Rows([images], np.arange(self.left))
        scores = yield from self._asked(fitting)
        if len(fitting) < len(images):
            blank = Scores.blank(len(images) - len(fitting))
            raise Stopped("all its queries are asked", concatenate([scores, blank]))
        return scores

    def adversarial(self, images: Images) -> Plan[NDArray[np.bool_]]:
        """Ask for images and return which are adversarial; what is undecided is not."""
        scores = yield from self.ask(images)
        return np.equal(scores.decision, Decision.NOT_MET)

    def is_adversarial(self, values: NDArray[np.floating]) -> Plan[bool]:
        """Ask for the photo nearest to `values` (H, W, 3)."""
        return bool((yield from self.adversarial(self.pixels(values)[None]))[0])

    def _asked(self, images: Images) -> Plan[Scores]:
        try:
            scores = yield Ask(images)
        except Stopped as stop:
            self._saw(images, stop.scores)
            answered = int((stop.scores.answers > 0).sum())
            self.queries += answered
            self.left = 0
            raise
        self._saw(images, scores)
        self.queries += len(images)
        self.left -= len(images)
        self._undecided += int(scores.undecided.sum())
        return scores

    def _saw(self, images: Images, scores: Scores) -> None:
        for row in np.flatnonzero(np.equal(scores.decision, Decision.NOT_MET)).tolist():
            image = images[row]
            size, most = self._sizes(image)
            distance = size if self.norm == "l2" else most
            if distance < self.distance:
                self.best, self.distance = image, distance
                self._trace.append(Point(self.queries + row + 1, size / GREY_LEVELS, most / GREY_LEVELS))

    def _sizes(self, image: Image) -> tuple[float, float]:
        """Return by how much an image differs from x, in grey levels: RMS, and at most."""
        if self.domain.dtype != "uint8":
            change = image - self.x
            return rms(change), float(np.abs(change).max(initial=0.0))
        levels = np.subtract(image, self._sent, dtype=np.int16)
        values = levels.astype(np.float64).reshape(-1)  # whose squares add up exactly, in any order
        size = math.sqrt(float(values @ values) / values.size)
        return size, float(max(levels.max(initial=0), -levels.min(initial=0)))

    def stepped(self, sigma: float, scores: Scores) -> None:
        """Record a step. sigma: of its copies, in grey levels."""
        self._steps.append(Step(self.queries, sigma, changed(scores)))

    def result(self) -> AttackResult:
        """Return the result so far."""
        last = self._trace[-1] if self._trace else Point(0, math.inf, math.inf)
        return AttackResult(
            best=self.best, rmse=last.rmse, linf=last.linf, norm=self.norm, queries=self.queries,
            undecided=self._undecided, trace=tuple(self._trace), steps=tuple(self._steps),
        )  # fmt: skip


def changed(scores: Scores) -> float:
    """Return the share of adversarial rows among those decided; NaN where none is."""
    decided = int((~scores.undecided).sum())
    return int(np.equal(scores.decision, Decision.NOT_MET).sum()) / decided if decided else math.nan
