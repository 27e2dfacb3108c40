"""A judge between an attack and a network: it answers, counts, and measures every image that is asked.

What an attack says of itself is not used: distances are of the bytes that were asked, after how many queries each.
`labels`: the answer is the first label, and the value 1 while it is the clean one. `lists`: the first five labels with
their probabilities, whose value is their WordNet similarity to the clean label, weighted (`hard:form=list`); the attack
is driven by S2.

S1   the first label is not the clean one
S2   nor any other label of the clean answer
S3   none of the labels is the clean one (no class of ImageNet is a kind of another, so WordNet's subtree is the class)
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from bbquery import load
from bbquery.types import Decision, Label, Labels, Scores

if TYPE_CHECKING:
    from networks import Box
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image

Answers: TypeAlias = Literal["labels", "lists"]
ANSWERS: tuple[Answers, ...] = get_args(Answers)
CRITERIA = {"labels": ("S1",), "lists": ("S1", "S2", "S3")}
DRIVING = {"labels": "S1", "lists": "S2"}
LISTED = 5  # labels of a list
MARKS = (100, 250, 500, 1000, 2000, 5000, 10000)
"""Queries after which a distance is written down, of every run that gets there, beside its budget."""


class Judge:
    """Scores for an attack on one photo x, (224, 224, 3).

    asked: queries so far. seconds: of this process that the network and the judge took, the attack's own left out.
    """

    def __init__(self, box: Box, x: Image, answers: Answers, budget: int) -> None:
        self._box, self._x, self._answers = box, x.astype(np.int64), answers
        self._marks = sorted({mark for mark in MARKS if mark < budget} | {budget})
        self._rmse = dict.fromkeys(CRITERIA[answers], math.inf)
        self._linf = math.inf
        self._passed: dict[int, dict[str, float]] = {}
        self.asked, self.seconds = 0, 0.0
        clean = box(x)
        self._label = int(np.argmax(clean))
        self._set = frozenset(_first(clean, LISTED))
        if answers == "lists":
            self._similarity = load.score("hard:form=list").bind(self._listed(clean), None, box.classes)

    def __call__(self, ask: Ask) -> Scores:
        """Answer a plan."""
        readings = [self._one(ask.images[row]) for row, often in enumerate(ask.repeats) for _ in range(often)]
        first = np.cumsum([0, *ask.repeats[:-1]]).tolist()
        decisions, values = zip(*(readings[place] for place in first), strict=True)
        return Scores(np.array(decisions, dtype=np.int8), np.array(values, dtype=np.float64))

    def marks(self) -> dict[str, dict[str, float | None]]:
        """Return the nearest at each mark: RMSE by criterion, and L∞ by the driving one; None where nothing was found.

        A run that ends before a mark stands at it as it ended.
        """
        ended = {mark: self._passed.get(mark, self._now()) for mark in self._marks}
        return {
            str(mark): {name: float(f"{value:.6g}") if math.isfinite(value) else None for name, value in now.items()}
            for mark, now in ended.items()
        }

    def _one(self, image: Image) -> tuple[Decision, float]:
        began = time.process_time()
        probabilities = self._box(image)
        self.asked += 1
        lost = self._lost(probabilities)
        if any(lost.values()):
            self._measure(image, lost)
        if self.asked in self._marks:
            self._passed[self.asked] = self._now()
        stands = not lost[DRIVING[self._answers]]
        value = float(stands) if self._answers == "labels" else self._value(probabilities)
        self.seconds += time.process_time() - began
        return (Decision.MET if stands else Decision.NOT_MET), value

    def _lost(self, probabilities: NDArray[np.float64]) -> dict[str, bool]:
        first = int(np.argmax(probabilities))
        if self._answers == "labels":
            return {"S1": first != self._label}
        listed = _first(probabilities, LISTED)
        return {"S1": first != self._label, "S2": first not in self._set, "S3": self._label not in listed}

    def _measure(self, image: Image, lost: dict[str, bool]) -> None:
        change = image - self._x
        rmse = math.sqrt(float(np.mean(np.square(change)))) / 255
        for criterion, is_lost in lost.items():
            if is_lost:
                self._rmse[criterion] = min(self._rmse[criterion], rmse)
        if lost[DRIVING[self._answers]]:
            self._linf = min(self._linf, float(np.abs(change).max()) / 255)

    def _now(self) -> dict[str, float]:
        return {**self._rmse, "linf": self._linf}

    def _value(self, probabilities: NDArray[np.float64]) -> float:
        return float(self._similarity([self._listed(probabilities)])[1][0])

    def _listed(self, probabilities: NDArray[np.float64]) -> Labels:
        keys = self._box.classes.keys
        return Labels(tuple(Label(keys[i], float(probabilities[i])) for i in _first(probabilities, LISTED)))


def _first(probabilities: NDArray[np.float64], count: int) -> list[int]:
    """Return the classes of the highest probabilities, the highest first."""
    return [int(place) for place in np.argsort(-probabilities, kind="stable")[:count]]
