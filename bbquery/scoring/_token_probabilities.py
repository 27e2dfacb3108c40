"""Probabilities from the log-probabilities of a text's tokens: of yes, and of each class of a closed set.

A model that answers with one of a list spells a name token by token, and at each token the vendor lists what might have
stood there instead. So a class's probability is what the listed tokens say that begin its name, by the chain rule along
what was said: alternatives that begin one class alone count for it, whatever their case and leading space (summed as
log-sum-exp); those that begin several are followed where they were said, and shared evenly where they were not. What
is not listed has no probability here: it was less likely than everything listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring._closed_set import WRAPPING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bbquery.scoring._closed_set import ClosedSet
    from bbquery.types import Token

SPACES = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "\n"})  # as tokenizers write them
SHORT_WORDS = frozenset({
    "a", "an", "the", "i", "it", "its", "in", "is", "as", "at", "on", "of", "or", "to", "this", "that", "there",
})  # fmt: skip
"""Tokens that begin a sentence rather than the name that begins with the same letters."""


def yes_share(tokens: Sequence[Token]) -> float:
    """Return P(yes) / (P(yes) + P(no)) at the first word of an answer, whatever its case; NaN if it is neither."""
    start = _first_word(tokens)
    if start is None:
        return np.nan
    mass = {"yes": -np.inf, "no": -np.inf}
    for text, logprob in _listed(tokens[start]):
        word = _spelled(text)
        if word in mass:
            mass[word] = float(np.logaddexp(mass[word], logprob))
    both = np.logaddexp(mass["yes"], mass["no"])
    return float(np.exp(mass["yes"] - both)) if np.isfinite(both) else np.nan


def class_shares(tokens: Sequence[Token], closed: ClosedSet) -> NDArray[np.float64]:
    """Return the probability of each class among the listed ones, float64 (k,), sum 1; NaN if none is listed."""
    mass = np.full(len(closed.classes), -np.inf)
    start = _first_name(tokens, closed)
    names = [(_spelled(name), i) for i, names in enumerate(closed.classes.names) for name in names]
    if start is not None:
        _follow(tokens[start:], names, mass)
    top = mass.max(initial=-np.inf)
    if not np.isfinite(top):
        return np.full(len(mass), np.nan)
    weights = np.exp(mass - top)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _follow(tokens: Sequence[Token], names: list[tuple[str, int]], mass: NDArray[np.float64]) -> None:
    """Add to `mass` the log-probabilities of the classes along what was said."""
    before, carried = "", 0.0
    for position, token in enumerate(tokens):
        said, onward = _spelled(before + _plain(token.text)), -np.inf
        for text, logprob in _listed(token):
            spelled = _spelled(before + _plain(text))
            classes = _begun(spelled, _spelled(before), names)
            if spelled == said and len(classes) > 1 and position + 1 < len(tokens):
                onward = float(np.logaddexp(onward, logprob))
            elif classes:
                _add(mass, classes, carried + logprob)
        if not np.isfinite(onward):
            return
        before, carried = before + _plain(token.text), carried + onward


def _add(mass: NDArray[np.float64], classes: set[int], logprob: float) -> None:
    indices = sorted(classes)
    mass[indices] = np.logaddexp(mass[indices], logprob - np.log(len(indices)))


def _begun(spelled: str, before: str, names: list[tuple[str, int]]) -> set[int]:
    """Return the classes whose name goes on as spelled, or else those whose name had ended before."""
    if spelled in SHORT_WORDS and not before:
        return {i for name, i in names if name == spelled}
    ended = {i for name, i in names if before and name == before}
    if spelled == before and ended:
        return ended
    return {i for name, i in names if spelled and name.startswith(spelled)} or ended


def _listed(token: Token) -> Iterator[tuple[str, float]]:
    """Yield each text that might stand at a token once, the said one among them."""
    seen = dict(token.alternatives)
    seen.setdefault(token.text, token.logprob)
    yield from seen.items()


def _plain(text: str) -> str:
    return text.translate(SPACES)


def _spelled(text: str) -> str:
    return " ".join(_plain(text).strip(WRAPPING).casefold().split())


def _first_word(tokens: Sequence[Token]) -> int | None:
    return next((i for i, token in enumerate(tokens) if _spelled(token.text)), None)


def _first_name(tokens: Sequence[Token], closed: ClosedSet) -> int | None:
    """Return the token at which the first name of a class begins; without one the first word."""
    texts = [_plain(token.text) for token in tokens]
    begins = closed.first("".join(texts))
    if begins is None:
        return _first_word(tokens)
    ends = np.cumsum([len(text) for text in texts])
    return int(np.searchsorted(ends, begins, side="right"))
