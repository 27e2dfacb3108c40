"""Soft scores: the probability of a class, from oracles that give one number for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.types import Answer, Classes, Decision, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore


@dataclass(frozen=True)
class Probability:
    """The number that the oracle gives the target class; higher is better.

    The criterion is met while the target is the top class. Where the oracle gives probabilities the range is 0 to 1
    and "no information" is 1 / number of classes; other scores have the oracle's own range.
    """

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """See, before anything is sent, that the oracle's answers can be scored and the targets exist.

        Raises:
            UnknownName: no class has this label. UsageError: the answers are no vectors.
        """
        if capabilities.answers not in ("probabilities", "scores"):
            raise UsageError(
                f"{capabilities.name} answers {capabilities.answers}; the score 'soft' needs one number for each class"
            )
        for target in targets:
            if capabilities.classes is not None:
                capabilities.classes.find(target)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target class; None takes the top class of the clean answer.

        Raises:
            UnknownName: no class has this label.
            UsageError: the answers are no vectors, or the target is named where classes have no names.
        """
        if not isinstance(clean, Vector):
            raise UsageError(f"the score 'soft' needs one number for each class; this oracle answered {clean}")
        known = classes or Classes(tuple((str(i),) for i in range(len(clean.values))))
        index = int(np.argmax(clean.values)) if target is None else known.find(target)
        return BoundProbability(index, known.show(index))


@dataclass(frozen=True)
class BoundProbability:
    """`Probability` of the class at `index`, shown as `target`."""

    index: int
    target: str
    unit: str = "probability"

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        """Return whether the target is on top, and its number."""
        if not isinstance(answer, Vector):
            raise UsageError(f"the score 'soft' needs one number for each class; this oracle answered {answer}")
        top = int(np.argmax(answer.values)) == self.index
        return Decision.MET if top else Decision.NOT_MET, float(answer.values[self.index])


SCORE = Probability
