"""Soft scores: the probability of a class, from oracles that give a number for each class or label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.types import Answer, Classes, Decision, Labels, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore

ROUNDING = 1e-3  # by which the sum of a thousand probabilities in 16 bits may be off


@dataclass(frozen=True)
class Probability:
    """The number that the oracle gives the target class or label; higher is better.

    The criterion is met while the target is on top. Where the oracle gives probabilities the range is 0 to 1 and "no
    information" is 1 / number of classes; other scores have the oracle's own range. In a list of labels the target
    scores its own score (1 where labels have none), and 0 where it is not listed.
    """

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """See, before anything is sent, that the oracle's answers can be scored and the targets exist.

        Raises:
            UnknownName: no class has this label. UsageError: the answers are texts.
        """
        if capabilities.answers == "text":
            raise UsageError(
                f"{capabilities.name} answers text; the score 'soft' needs a number for each class or label"
            )
        for target in targets:
            if capabilities.classes is not None:
                capabilities.classes.find(target)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target class or label; None takes the top one of the clean answer.

        Raises:
            UnknownName: no class has this label. UsageError: the clean answer is a text.
        """
        if isinstance(clean, Labels) and (target or clean.labels):
            return BoundLabel(target or clean.labels[0].name)
        if not isinstance(clean, Vector):
            raise UsageError(f"the score 'soft' needs a number for each class or label; this oracle answered {clean}")
        known = classes or Classes(tuple((str(i),) for i in range(len(clean.values))))
        index = int(np.argmax(clean.values)) if target is None else known.find(target)
        return BoundProbability(index, known.show(index), _unit(clean))


@dataclass(frozen=True)
class BoundProbability:
    """The number of the class at `index`, shown as `target`. unit: "probability" where such the numbers are."""

    index: int
    target: str
    unit: str = "probability"

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        """Return whether the target is on top, and its number."""
        if not isinstance(answer, Vector):
            raise UsageError(f"the score 'soft' needs one number for each class; this oracle answered {answer}")
        top = int(np.argmax(answer.values)) == self.index
        return Decision.MET if top else Decision.NOT_MET, float(answer.values[self.index])


def _unit(clean: Vector) -> str:
    """Return what a number of an oracle's vectors is: a probability where they are distributions, else a score."""
    total = float(clean.values.sum())
    is_distribution = bool((clean.values >= -ROUNDING).all()) and abs(total - 1) <= ROUNDING
    return "probability" if is_distribution else "score of the class"


@dataclass(frozen=True)
class BoundLabel:
    """`Probability` of the label `target`, whatever its case."""

    target: str
    unit: str = "score of the label"

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        """Return whether the target is the first label, and its score."""
        if not isinstance(answer, Labels):
            raise UsageError(f"the score 'soft' was bound to a label; this oracle answered {answer}")
        wanted = self.target.lower()
        found = [label for label in answer.labels if label.name.lower() == wanted]
        top = bool(answer.labels) and answer.labels[0].name.lower() == wanted
        value = 0.0 if not found else 1.0 if found[0].score is None else found[0].score
        return (Decision.MET if top else Decision.NOT_MET), value


SCORE = Probability
