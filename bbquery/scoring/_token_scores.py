"""Scores from a text's log-probabilities, bound to their target: one such answer tells as much as several without."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring._chatter import why_none
from bbquery.scoring._closed_set import WORD, closed_set
from bbquery.scoring._said import said
from bbquery.scoring._token_probabilities import class_shares, yes_share
from bbquery.scoring.base import About
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.types import Answer, Classes

UNLISTED = "no class among the log-probabilities"


@dataclass(frozen=True, kw_only=True)
class BoundYesNo:
    """P(yes) / (P(yes) + P(no)) of the answer's first word; without log-probabilities 1 for yes and 0 for no."""

    target: str

    @property
    def about(self) -> About:
        """Meaning of the values."""
        return About(
            unit="probability of yes among yes and no",
            direction="higher",
            low=0.0,
            high=1.0,
            criterion="yes is likelier than no",
            no_information=0.5,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions and probabilities, (n,) each; undecided and NaN where neither yes nor no is said.

        Raises:
            UsageError: an answer is no text.
        """
        values = np.array([self._share(answer) for answer in answers], dtype=np.float64)
        return _decided(values > 0.5, values), values

    def _share(self, answer: Answer) -> float:
        text = said(answer)
        if text.tokens:
            return yes_share(text.tokens)
        first = WORD.search(text.text)
        return {"yes": 1.0, "no": 0.0}.get(first[0].casefold() if first else "", np.nan)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return why answers could not be read, by how often."""
        return Counter(_why(answer) for answer in answers if np.isnan(self._share(answer)))

    def steps(self, answer: Answer) -> list[str]:
        """Return what the score does to an answer, a line a step."""
        share = self._share(answer)
        read = f"not read: {_why(answer)}" if np.isnan(share) else f"P(yes) / (P(yes) + P(no)) = {share:.4f}"
        return [f"answer: {said(answer).text!r}", _first_alternatives(answer), read]


@dataclass(frozen=True, kw_only=True)
class BoundClassProbability:
    """The probability of the class at `index`, among the classes, from the log-probabilities of the answer's tokens."""

    target: str
    index: int
    classes: Classes

    @property
    def about(self) -> About:
        """Meaning of the values."""
        return About(
            unit="probability among the classes",
            direction="higher",
            low=0.0,
            high=1.0,
            criterion="the target is the likeliest of the classes",
            no_information=1 / len(self.classes),
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions and probabilities, (n,) each; undecided and NaN where no class is among the tokens.

        Raises:
            UsageError: an answer is no text.
        """
        shares = np.array([self._shares(answer) for answer in answers]).reshape(len(answers), len(self.classes))
        values = shares[:, self.index]
        return _decided(values >= shares.max(axis=1, initial=-np.inf), values), values

    def _shares(self, answer: Answer) -> NDArray[np.float64]:
        return class_shares(said(answer).tokens, closed_set(self.classes))

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return why answers could not be read, by how often."""
        return Counter(_why(answer) for answer in answers if np.isnan(self._shares(answer)[0]))

    def steps(self, answer: Answer) -> list[str]:
        """Return what the score does to an answer, a line a step."""
        shares = self._shares(answer)
        first = [f"answer: {said(answer).text!r}", _first_alternatives(answer)]
        if np.isnan(shares[0]):
            return [*first, f"not read: {_why(answer)}"]
        best = np.argsort(-shares, kind="stable")[:5]
        table = ", ".join(f"{self.classes.show(int(i))} {shares[i]:.4f}" for i in best)
        return [*first, f"among the classes: {table}", f"probability of {self.target}: {shares[self.index]:.4f}"]


def _decided(met: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.int8]:
    decided = np.where(met, Decision.MET, Decision.NOT_MET)
    return np.where(np.isnan(values), Decision.UNDECIDED, decided).astype(np.int8)


def _why(answer: Answer) -> str:
    failure = why_none(said(answer).text)
    return UNLISTED if failure == "no class" else failure


def _first_alternatives(answer: Answer) -> str:
    tokens = said(answer).tokens
    if not tokens:
        return "no log-probabilities"
    listed = ", ".join(f"{text!r} {logprob:.3f}" for text, logprob in tokens[0].alternatives[:5])
    return f"first token {tokens[0].text!r}; log-probabilities in its place: {listed or 'none'}"
