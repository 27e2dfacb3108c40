"""What the map's peak is worth: how much of the score is lost when its surroundings are hidden (a metric of one's own).

It is the example of `docs/metrics.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.metrics import Measurement, Metric, Quantity, Question
from bbquery.perturb.baselines import AnyFill, filled, known_fill
from bbquery.perturb.checks import at_least_one
from bbquery.plan import Ask, Stopped

if TYPE_CHECKING:
    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.types import Scores


@dataclass(frozen=True, kw_only=True)
class PeakLoss(Metric):
    """Hide the square around the map's highest pixel, and say what the score loses.

    reach: how many pixels to each side are hidden, at least 1. fill: what hides them.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("peak_loss", "higher", "score", "compare with the loss at a random place"),
    )
    reach: int = 2
    fill: AnyFill = "grey"

    def __post_init__(self) -> None:
        at_least_one("reach", self.reach)
        known_fill(self.fill)

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        return (self.fill,)

    def question(self, _: Given, /) -> Question:
        return Question(name=repr(self), queries=2, plan=self._plan, asks_photo=True)

    def measurements(self, _: Case, answer: Scores, /) -> list[Measurement]:
        lost, unanswered = float(answer.value[0] - answer.value[1]), int(np.isnan(answer.value).sum())
        return [
            quantity.measured(lost, fill=f"{self.fill}", steps=1, queries=2, unanswered=unanswered)
            for quantity in self.quantities
        ]

    def _plan(self, case: Case) -> Plan[Scores]:
        row, column = np.unravel_index(int(np.argmax(case.values)), case.x.shape[:2])
        hidden = case.x.copy()
        place = tuple(slice(max(at - self.reach, 0), at + self.reach + 1) for at in (int(row), int(column)))
        hidden[place] = case.domain.realise(filled(self.fill, case.x, case.seed))[place]
        try:
            scores = yield Ask(np.stack([case.domain.realise(case.x), hidden]))
        except Stopped as stop:
            return stop.scores
        return scores


METRIC = PeakLoss
