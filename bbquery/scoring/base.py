"""The protocol of scores, and how repeats of one question become one row.

Theory of operation.

1. A score is pure: the same answers give the same numbers, so stored answers are scored again for free, for another
   target or by another score.
2. It is given many answers at once, on a worker thread, and never an absent one: those are taken out before and put
   back as "undecided, NaN", which is also what an answer that cannot be read gets.
3. It says what its numbers mean (`About`), since algorithms and people must know which way is nearer to the target.
   `nearer_is_higher` turns round what is better when lower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from bbquery.system.blas_threads import one_blas_thread
from bbquery.types import Answer, Decision, NoAnswer, Scores, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.oracle import Capabilities
    from bbquery.types import Classes


@dataclass(frozen=True)
class TargetObject:
    """An object on the image that was sent, where a target is one: its name, for people, and its box."""

    name: str
    box: Box


@dataclass(frozen=True, kw_only=True)
class About:
    """Meaning of a bound score's values.

    unit: what a value is, for people. direction: whether a higher or a lower value is nearer to the target.
    low, high: the range of values; infinite where there is no bound. criterion: when the decision is met, for people.
    no_information: the value of an answer that says nothing of the target; NaN where there is no such value.
    object: the object that the target is, None where it is not one. of_first: whether the criterion is about what an
    answer names first, so that another label on top ends it.
    """

    unit: str
    direction: Literal["higher", "lower"]
    low: float
    high: float
    criterion: str
    no_information: float
    object: TargetObject | None = None
    of_first: bool = True


PROBABILITIES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "log-odds": lambda values: 1 / (1 + np.exp(-values)),
    "cross-entropy": lambda values: np.exp(-values),
}
"""Probability that a score's value is a function of, by its unit (`About.unit`)."""


class BoundScore(Protocol):
    """A score that knows its target: a frozen dataclass, and pure."""

    @property
    def target(self) -> str:
        """The target, for people."""

    @property
    def about(self) -> About:
        """Meaning of a value."""

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions (codes of `Decision`) and values, one of each an answer.

        answers: at least one, and none is `NoAnswer`.

        An answer that cannot be read is (UNDECIDED, NaN).

        Raises:
            UsageError: an answer is of a kind that the score was not bound to.
        """

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what could not be read in these answers (unknown labels, say), by how often. No `NoAnswer` either."""

    def steps(self, answer: Answer) -> list[str]:
        """Return what the score does to one answer, a line a step, for people; the outcome may be left out."""


class Score(Protocol):
    """A way to score; a frozen dataclass, keywords only."""

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the oracle's answers can be scored and the targets exist.

        Raises:
            UsageError: they cannot, or a target does not exist.
        """

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target, given the answer to the unperturbed image. None: the clean answer's own.

        Called on a worker thread, since it may take time.

        Raises:
            UsageError: this score cannot use such answers, or the target is not known.
        """


def score_rows(score: BoundScore, rows: Sequence[Sequence[Answer | None]]) -> Scores:
    """Score every row of answers, one inner sequence per row with one entry per repeat; None was never answered."""
    flat = list(chain.from_iterable(rows))
    row_of = np.repeat(np.arange(len(rows)), np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)))
    there = np.fromiter(map(_is_answer, flat), dtype=bool, count=len(flat))
    decisions = np.full(len(flat), Decision.UNDECIDED, dtype=np.int8)
    values = np.full(len(flat), np.nan)
    if there.any():
        with one_blas_thread:
            decisions[there], values[there] = score(answered(flat))
    return _folded(decisions, values, row_of, len(rows))


def answered(answers: Iterable[Answer | None]) -> list[Answer]:
    """Return the answers that a score may be called with, in their order."""
    return [answer for answer in answers if answer is not None and _is_answer(answer)]


def _is_answer(answer: Answer | None) -> bool:
    """Whether a score may be called with it: reasoning that was cut off, as older stores have it, is no answer."""
    if answer is None or isinstance(answer, NoAnswer):
        return False
    return not (isinstance(answer, Text) and answer.is_reasoning)


def _folded(decisions: NDArray[np.int8], values: NDArray[np.float64], row_of: NDArray[np.int64], rows: int) -> Scores:
    """Return majority, mean, sample standard deviation and number of the answers of each row."""
    votes = np.bincount(row_of, (decisions == Decision.MET) * 1.0 - (decisions == Decision.NOT_MET), rows)
    majority = np.where(votes > 0, Decision.MET, np.where(votes < 0, Decision.NOT_MET, Decision.UNDECIDED))
    known = ~np.isnan(values)
    values, row_of = values[known], row_of[known]
    count = np.bincount(row_of, minlength=rows)
    mean = _ratio(np.bincount(row_of, values, rows), count)
    squares = np.bincount(row_of, (values - mean[row_of]) ** 2, rows)
    return Scores(majority.astype(np.int8), mean, np.sqrt(_ratio(squares, count - 1)), count)


def _ratio(total: NDArray[Any], count: NDArray[Any]) -> NDArray[np.float64]:
    """Return total / count, NaN where there is nothing to divide by."""
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))


def nearer_is_higher(score: BoundScore) -> BoundScore:
    """Return a score of the same meaning whose higher values are nearer to the target: itself, or its negative."""
    return score if score.about.direction == "higher" else Negative(score)


@dataclass(frozen=True)
class Negative:
    """A score whose values are those of another with the sign turned; decisions stay."""

    of: BoundScore

    @property
    def target(self) -> str:
        """The target, for people."""
        return self.of.target

    @property
    def about(self) -> About:
        """Meaning of a value: the other way round."""
        was = self.of.about
        direction: Literal["higher", "lower"] = "lower" if was.direction == "higher" else "higher"
        return replace(
            was,
            unit=f"negative {was.unit}",
            direction=direction,
            low=-was.high,
            high=-was.low,
            no_information=-was.no_information,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions, and values with the sign turned."""
        decisions, values = self.of(answers)
        return decisions, -values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what could not be read."""
        return self.of.unread(answers)

    def steps(self, answer: Answer) -> list[str]:
        """Return the other's steps, and the turn."""
        return [*self.of.steps(answer), "with the sign turned, so that higher is nearer"]
