"""Top label: 1 where the target is the first thing that an answer names, else 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft
from bbquery.types import Answer, Classes, Decision, Text

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import About, BoundScore


@dataclass(frozen=True, kw_only=True)
class SameLabel:
    """1 where the target is on top of the answer (a text: where it is mentioned), 0 elsewhere, whatever the numbers."""

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the targets exist and that a text has one.

        Raises:
            UnknownName: no class has this label. UsageError: a text needs a target.
        """
        (Mention() if capabilities.answers == "text" else Soft()).check(capabilities, targets)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target; None takes the top of the clean answer.

        Raises:
            UnknownName: no class has this label. UsageError: the clean answer has nothing on top.
        """
        kind = Mention() if isinstance(clean, Text) else Soft()
        return BoundSameLabel(kind.bind(clean, target, classes))


@dataclass(frozen=True)
class BoundSameLabel:
    """The decision of another score as a number."""

    of: BoundScore

    @property
    def target(self) -> str:
        """The target, for people."""
        return self.of.target

    @property
    def about(self) -> About:
        """Meaning of a value."""
        return replace(self.of.about, unit="same label", direction="higher", low=0.0, high=1.0, no_information=0.0)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return the decision of each answer, and 1 or 0 for it."""
        decisions, _ = self.of(answers)
        values = np.where(decisions == Decision.UNDECIDED, np.nan, decisions == Decision.MET)
        return decisions, values.astype(np.float64)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what could not be read."""
        return self.of.unread(answers)

    def steps(self, answer: Answer) -> list[str]:
        """Return the other's steps, and what is kept of them."""
        _, (value,) = self([answer])
        return [*self.of.steps(answer), f"of that only the decision counts: {value:g}"]


SCORE = SameLabel
