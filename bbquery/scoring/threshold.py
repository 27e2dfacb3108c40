"""Threshold: the target's number, and whether it is high enough, where targets do not exclude each other.

Categories of unsafe content, moods of a face, several labels of one photo: each has a number of its own, and none is
lost because another is higher. So the criterion is a number to be reached, and not a place on top. Values are those of
the score `soft`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.soft import Soft
from bbquery.types import Answer, Classes, Decision

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import About, BoundScore


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The number that the oracle gives the target, as `soft` reads it; the criterion is that it is high enough.

    For numbers that do not exclude each other, such as likelihoods of unsafe content: which is the highest does not
    matter.

    Args:
        least: the number from which on the criterion is met; any number.

    Raises:
        UsageError: least is no finite number.
    """

    least: float = 0.5

    def __post_init__(self) -> None:
        if not math.isfinite(self.least):
            raise UsageError(f"least must be a finite number, not {self.least:g}")

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the oracle gives numbers and that the targets exist.

        Raises:
            UnknownName: no class has this label. UsageError: the answers have no numbers.
        """
        Soft().check(capabilities, targets)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target; None takes the top one of the clean answer.

        Raises:
            UnknownName: no class has this label. UsageError: the clean answer has nothing on top, or no numbers.
        """
        return BoundThreshold(Soft().bind(clean, target, classes), self.least)


@dataclass(frozen=True)
class BoundThreshold:
    """A score that is met while its value is at least `least`. of: whose target and values it keeps."""

    of: BoundScore
    least: float

    @property
    def target(self) -> str:
        """The target, for people."""
        return self.of.target

    @property
    def about(self) -> About:
        """Meaning of a value, and the criterion."""
        return replace(self.of.about, criterion=self._criterion, of_first=False)

    @property
    def _criterion(self) -> str:
        return f"{self.of.about.unit} at least {self.least:.3g}"

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether each value is high enough, and the values."""
        _, values = self.of(answers)
        decisions = np.where(values >= self.least, Decision.MET, Decision.NOT_MET)
        return np.where(np.isnan(values), Decision.UNDECIDED, decisions).astype(np.int8), values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what the score could not read."""
        return self.of.unread(answers)

    def steps(self, answer: Answer) -> list[str]:
        """Return the score's steps, and the criterion."""
        return [*self.of.steps(answer), f"met from {self.least:.6g} on"]


SCORE = Threshold
