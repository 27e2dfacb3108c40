"""What every score promises, and how repeats of one question become one row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bbquery.types import Answer, Decision, NoAnswer, Scores

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities
    from bbquery.types import Classes


class BoundScore(Protocol):
    """A score that knows its target: pure, so that stored answers can be scored again for free."""

    @property
    def target(self) -> str:
        """The target, for people."""

    @property
    def unit(self) -> str:
        """What a value means."""

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        """Return the decision and the value of one answer; never called with `NoAnswer`."""


class Score(Protocol):
    """A way to score; a frozen dataclass."""

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """See, before anything is sent, that the oracle's answers can be scored and the targets exist.

        Raises:
            UsageError: they cannot, or a target does not exist.
        """

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target, given the answer to the unperturbed image. None: the clean answer's own.

        Raises:
            UsageError: this score cannot use such answers, or the target is not known.
        """


def score_rows(score: BoundScore, rows: Sequence[Sequence[Answer | None]]) -> Scores:
    """Score every row of answers, one inner sequence per row with one entry per repeat; None was never answered."""
    flat = [_score(score, answer) for row in rows for answer in row]
    ends = [0, *accumulate(len(row) for row in rows)]
    folded = [_fold(flat[start:end]) for start, end in pairwise(ends)]
    return Scores(
        np.array([f[0] for f in folded], dtype=np.int8),
        np.array([f[1] for f in folded], dtype=np.float64),
        np.array([f[2] for f in folded], dtype=np.float64),
        np.array([f[3] for f in folded], dtype=np.int64),
    )


def _score(score: BoundScore, answer: Answer | None) -> tuple[Decision, float]:
    if answer is None or isinstance(answer, NoAnswer):
        return Decision.UNDECIDED, np.nan
    return score(answer)


def _fold(repeats: Sequence[tuple[Decision, float]]) -> tuple[Decision, float, float, int]:
    """Return majority, mean, standard deviation and number of the repeats that were answered."""
    votes = sum((d == Decision.MET) - (d == Decision.NOT_MET) for d, _ in repeats)
    decision = Decision.MET if votes > 0 else Decision.NOT_MET if votes < 0 else Decision.UNDECIDED
    values = np.array([v for _, v in repeats if not np.isnan(v)])
    mean = float(values.mean()) if len(values) else np.nan
    spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return decision, mean, spread, len(values)
