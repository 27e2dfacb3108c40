"""Statistics of a probe's answers that need no score: whether the oracle answers, and repeats itself.

Pure: answers in, figures out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.jobs import intervals
from bbquery.scoring.base import answered
from bbquery.types import Answer, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.design import Condition, Design
    from bbquery.types import Classes

Row: TypeAlias = Sequence[Answer | None]
"""The answers to one image, one a repeat; None was never answered."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What came back. clean: of the photo itself. rows: of each perturbed image. blocks: what each showed."""

    design: Design
    clean: Row
    rows: Sequence[Row]
    blocks: NDArray[np.float64]

    @property
    def visible(self) -> NDArray[np.float64]:
        """The share of the photo that is visible in each row, (rows,)."""
        shares: NDArray[np.float64] = self.blocks.mean(axis=(1, 2))
        return shares

    def rows_of(self, place: int) -> NDArray[np.int64]:
        """Return the rows of one condition, by its place in the design."""
        return np.flatnonzero(self.design.condition_of == place)


@dataclass(frozen=True, eq=False)
class CleanFigures:
    """What is said of the photo itself. flips: answers whose label is not the commonest. kinds: of no answers."""

    asked: int
    answered: int
    flips: Estimate
    labels: Counter[str]
    kinds: Counter[str]


@dataclass(frozen=True, eq=False)
class AnswerFigures:
    """Whether a condition's images are answered. refused: of those that came back, by `kinds` of no answer."""

    condition: Condition
    asked: int
    refused: Estimate
    kinds: Counter[str]

    @property
    def share_answered(self) -> float:
        """The share of answers in what came back; 0 where nothing did."""
        return 1 - self.refused.value if self.refused.known else 0.0


def of_clean(row: Row, classes: Classes | None) -> CleanFigures:
    """Return the figures of the photo itself."""
    found = answered(row)
    labels = Counter(label_of(answer, classes) for answer in found)
    commonest = max(labels.values(), default=0)
    return CleanFigures(len(row), len(found), intervals.rate(len(found) - commonest, len(found)), labels, _kinds(row))


def label_of(answer: Answer, classes: Classes | None) -> str:
    """Return the label of an answer: the top class, the first label, or the whole text; case and spaces aside."""
    match answer:
        case Vector(values):
            top = int(np.argmax(values))
            return str(top) if classes is None else f"{classes.show(top)} ({top})"  # names repeat across classes
        case Labels((first, *_)):
            return first.name.casefold()
        case Text(text):
            return " ".join(text.casefold().split())
    return ""


def of_conditions(answers: Answers) -> tuple[AnswerFigures, ...]:
    """Return, for each condition, whether its images are answered."""
    return tuple(
        _of_condition(condition, [answer for row in answers.rows_of(place) for answer in answers.rows[row]])
        for place, condition in enumerate(answers.design.conditions)
    )


def _of_condition(condition: Condition, row: Row) -> AnswerFigures:
    kinds = _kinds(row)
    came = sum(answer is not None for answer in row)
    return AnswerFigures(condition, len(row), intervals.rate(kinds.total(), came), kinds)


def _kinds(row: Row) -> Counter[str]:
    return Counter(answer.kind for answer in row if isinstance(answer, NoAnswer))
