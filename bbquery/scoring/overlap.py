"""Overlap: how many words of a reference sentence an answer still says. It needs no model, unlike `text`.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), ROUGE-1: of the words of both, each as often as
it occurs, with c in common,

    recall = c / words of the reference;   precision = c / words of the answer;   value = their harmonic mean

The target is the reference; without one it is the answer to the unperturbed image. A list of labels is read as the
sentence of its names. Words are compared whatever their case; no sense is read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About
from bbquery.scoring.text import NOTHING_SAID, sentence
from bbquery.types import Answer, Classes, Decision, composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore

WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class WordOverlap:
    """The share of words that an answer and the reference sentence have in common, 0 to 1; 1 where all are the same.

    Args:
        threshold: the value from which the criterion is met; 0 to 1.

    Raises:
        UsageError: threshold is outside that range.
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold must be 0 to 1, not {self.threshold}")

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the answers are words and that the targets have some.

        Raises:
            UsageError: they do not.
        """
        if capabilities.answers not in ("text", "labels"):
            raise UsageError(
                f"{capabilities.name} answers {capabilities.answers}; the score 'overlap' needs text or labels"
            )
        for target in targets:
            _check_reference(target)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:  # noqa: ARG002 - as every score
        """Fix the reference sentence; None takes what the clean answer says.

        Raises:
            UsageError: it has no words, or the clean answer is neither a text nor labels.
        """
        reference = sentence(clean) if target is None else target
        _check_reference(reference)
        return BoundOverlap(reference, self.threshold)


def _check_reference(reference: str) -> None:
    if not WORD.search(reference):
        raise UsageError("the reference sentence has no words: say with --target what the answer should be near to")


@dataclass(frozen=True)
class BoundOverlap:
    """`WordOverlap` with the sentence `target`."""

    target: str
    threshold: float

    @property
    def about(self) -> About:
        """Meaning of a value; an answer that shares no word says nothing of the reference."""
        return About(
            unit="words shared with the reference",
            direction="higher",
            low=0.0,
            high=1.0,
            criterion=f"words shared with the reference {self.threshold:g} or more",
            no_information=0.0,
            of_first=False,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions and values; undecided and NaN where an answer has no words.

        Raises:
            UsageError: an answer is neither a text nor labels.
        """
        values = np.array([self._value(sentence(answer)) for answer in answers], dtype=np.float64)
        decisions = np.where(values >= self.threshold, Decision.MET, Decision.NOT_MET)
        return np.where(np.isnan(values), Decision.UNDECIDED, decisions).astype(np.int8), values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return how many answers have no words."""
        return Counter(NOTHING_SAID for answer in answers if not sentence(answer))

    def steps(self, answer: Answer) -> list[str]:
        """Return the words in common, and what they come to."""
        own, reference = _words(sentence(answer)), self._reference
        common = own & reference
        shared = ", ".join(map(repr, common.elements())) or "none"
        return [
            f"{own.total()} words in the answer, {reference.total()} in the reference",
            f"in common: {common.total()}, {shared}",
            f"twice {common.total()} / ({own.total()} + {reference.total()})",
        ]

    def _value(self, said: str) -> float:
        own = _words(said)
        if not own:
            return float("nan")
        return 2 * (own & self._reference).total() / (own.total() + self._reference.total())

    @cached_property
    def _reference(self) -> Counter[str]:
        return _words(self.target)


def _words(text: str) -> Counter[str]:
    return Counter(word.lower() for word in WORD.findall(composed(text)))


SCORE = WordOverlap
