"""Soft score of a text's first token, from log-probabilities."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring import _forms, _sets
from bbquery.types import Answer, Decision, Text, Token

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.scoring._forms import Form, Shares
    from bbquery.scoring.base import About, BoundScore

AROUND = re.compile(r"^[\W_]+|[\W_]+$|^[ĠĊ]+")  # also the marks that tokenizers write for a space and an end of line
SHOWN = 3  # of the likeliest tokens, to people
LONGEST = 60  # characters of an answer that could not be read, to people
NOTHING = (np.nan,) * 5


def bind_tokens(clean: Text, target: str | None, form: Form) -> BoundScore:
    """Return the score of a target; None takes the first token that was said.

    Raises:
        UsageError: the text has no log-probabilities, or the target is not one token.
    """
    clean = clean.spoken
    first = _first(clean)
    if first is None:
        raise UsageError(
            "the score 'soft' reads a text by the log-probabilities of its tokens, and this answer has none: ask the "
            "oracle for them (openai: top_logprobs=20), or take the score 'prompts', 'text' or 'mention'"
        )
    names = _sets.members(target) if target is not None else (_plain(first.text),)
    whole, said = _plain(clean.text), _plain(first.text)
    split = [name for name in names if len(name.split()) > 1 or (_plain(name) == whole != said)]
    if split:
        raise UsageError(
            f"the target {split[0]!r} is more than one token, and the score 'soft' reads the first alone: take the "
            "score 'prompts', or let the model answer yes or no, or with a letter"
        )
    return BoundTokens("+".join(names), tuple(dict.fromkeys(map(_plain, names))), form=form)


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """Return a token without case, spaces and what else is around its letters."""
    return AROUND.sub("", AROUND.sub("", text)).casefold()


def _first(text: Text) -> Token | None:
    """Return the first token that has a letter or digit in it."""
    return next((token for token in text.tokens if _plain(token.text)), None)


@dataclass(frozen=True)
class BoundTokens:
    """The soft score of the first token being one of `names` (plain, in lower case), shown as `target`."""

    target: str
    names: tuple[str, ...]
    form: Form = "probability"

    @property
    def about(self) -> About:
        """Meaning of a value; the probability of a token that is not listed is unknown."""
        nothing = _forms.Shares.single(*(float("nan"),) * 4)
        return _forms.about(self.form, "probability of the first token", bounded=True, nothing=nothing)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether the likeliest first token is the target, and its value.

        Raises:
            UsageError: an answer is no text.
        """
        shares = self._shares(answers)
        decisions = np.where(np.isnan(shares.target), Decision.UNDECIDED, shares.met)
        return decisions.astype(np.int8), _forms.value(self.form, shares)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return the answers that have no log-probabilities, or no word."""
        return Counter(_text(answer).text[:LONGEST] for answer in answers if _first(_text(answer)) is None)

    def steps(self, answer: Answer) -> list[str]:
        """Return which token is read, what else might have been said, and what the form makes of it."""
        token = _first(_text(answer))
        if token is None:
            return ["no token with a log-probability and a letter in it: it cannot be read"]
        likely = sorted(_likely(token).items(), key=lambda pair: -pair[1])
        listed = ", ".join(f"{name!r} {p:.6g}" for name, p in likely[:SHOWN])
        missing = [name for name in self.names if name not in dict(likely)]
        lines = [
            f"the first token is {token.text!r}, with {len(token.alternatives)} alternatives",
            f"by their words, whatever their case: {listed}{', …' * (len(likely) > SHOWN)}",
        ]
        if missing:
            bound = f"{_of_unlisted(dict(likely)):.6g}, the least of those listed or what they leave"
            lines.append(f"not listed, so each is taken as {bound}: {', '.join(missing)}")
        return [*lines, _forms.explained(self.form, self._shares([answer]))]

    def _shares(self, answers: Sequence[Answer]) -> Shares:
        found = np.array([self._read(answer) for answer in answers], dtype=np.float64).reshape(-1, 5)
        target, rest, best, best_other, met = found.T
        return _forms.Shares(target, rest, best, best_other, met > 0)

    def _read(self, answer: Answer) -> tuple[float, ...]:
        """Return the fields of `Shares` for one answer."""
        token = _first(_text(answer))
        if token is None:
            return NOTHING
        likely = _likely(token)
        unlisted = _of_unlisted(likely)
        own = [likely.pop(name, unlisted) for name in self.names]
        target, best, best_other = min(sum(own), 1.0), max(own), max(likely.values(), default=unlisted)
        return target, 1 - target, best, best_other, best >= best_other


def _text(answer: Answer) -> Text:
    if not isinstance(answer, Text):
        raise UsageError(f"the score 'soft' was bound to a text's tokens; this oracle answered {answer}")
    return answer.spoken


def _likely(token: Token) -> dict[str, float]:
    """Return the probability of each word that might stand at a token, all its spellings together."""
    spelled = {token.text: token.logprob} | dict(token.alternatives)
    found: dict[str, float] = {}
    for text, logprob in spelled.items():
        word = _plain(text)
        found[word] = found.get(word, 0.0) + math.exp(min(logprob, 0.0))
    return found


def _of_unlisted(likely: dict[str, float]) -> float:
    """Return the most that a word may have that is not listed."""
    return min(*likely.values(), max(1 - sum(likely.values()), 0.0))
