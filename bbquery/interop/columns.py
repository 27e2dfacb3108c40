"""From answers to the columns of numbers that libraries take: all of an oracle's numbers, or a score of each target."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs import targeting
from bbquery.scoring.base import answered, nearer_is_higher, score_rows
from bbquery.types import Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer

NO_COLUMNS = "{} answers {}, which are no columns of numbers: name targets, or give a reference whose top is explained"


class Columns(Protocol):
    """A way to make columns of answers."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each column is of; none where the oracle does not name its classes, or before a target is known."""

    def values(self, answers: Sequence[Answer]) -> NDArray[np.float64]:
        """Return (n, columns), NaN in the row of an answer that is none or cannot be read."""


class AllNumbers:
    """The oracle's vectors as they are."""

    def __init__(self, capabilities: Capabilities) -> None:
        if capabilities.answers not in ("probabilities", "scores"):
            raise UsageError(NO_COLUMNS.format(capabilities.name, capabilities.answers))
        classes = capabilities.classes
        self.names = tuple(classes.show(i) for i in range(len(classes))) if classes else ()

    def values(self, answers: Sequence[Answer]) -> NDArray[np.float64]:
        """Return (n, classes); one column where nothing was answered and the oracle does not name its classes."""
        there = [answer.values for answer in answers if isinstance(answer, Vector)]
        out = np.full((len(answers), len(there[0]) if there else len(self.names) or 1), np.nan)
        rows = np.array([isinstance(answer, Vector) for answer in answers])
        if there:
            out[rows] = there
        return out


class Scored:
    """A score of each target, higher being nearer to it. Bound to the reference, or to the first answer that comes."""

    def __init__(self, capabilities: Capabilities, score: Score | str | None, targets: Sequence[str]) -> None:
        """Check score and targets.

        Raises:
            UnknownName: no score or class has this name. UsageError: they do not suit the oracle's answers.
        """
        self._score = load.score_for(capabilities, score)
        self._score.check(capabilities, targets)
        self._capabilities, self._classes, self._targets = capabilities, capabilities.classes, targets
        self._bound: list[BoundScore] = []
        self._binding = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The targets."""
        return tuple(score.target for score in self._bound) or tuple(self._targets)

    def bind(self, clean: Answer) -> None:
        """Fix the targets, given an answer; only the first time counts.

        Raises:
            UsageError: such an answer has no such target.
        """
        with self._binding:  # several threads may bring the first answer
            wanted: Sequence[str | None] = self._targets or (None,)
            self._bound = self._bound or [
                nearer_is_higher(self._score.bind(clean, target, self._classes)) for target in wanted
            ]

    def beware(self, clean: Answer) -> list[str]:
        """Return what must be known of the targets, given the answer to the photo that they were bound to."""
        return targeting.beware(self._targets, self._bound, clean, self._capabilities)

    def values(self, answers: Sequence[Answer]) -> NDArray[np.float64]:
        """Return (n, targets)."""
        there = answered(answers)
        if not there:
            return np.full((len(answers), len(self._targets) or 1), np.nan)
        self.bind(there[0])
        rows = [[answer] for answer in answers]
        return np.stack([score_rows(score, rows).value for score in self._bound], axis=1)
