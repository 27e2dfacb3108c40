"""Answers of emulated language models about an image, with real log-probabilities of the alternatives.

A list of classes in the prompt (lines that begin with "- ") is answered with one of them: the model's probabilities,
shared out among the listed. Anything else is answered with a sentence about the model's likeliest classes, whatever
the question was: it exercises the protocol, not the understanding of images.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.prompt_templates import MASKED

if TYPE_CHECKING:
    from bbquery.types import Classes

BULLET = "- "
PIECE = re.compile(r"\s?\w{1,8}|\s?[^\w\s]|\s")
"""Stands in for vendors' tokens, of which no table is needed: a word or a mark, with the space before it."""

IMPOSSIBLE = -9999.0  # the vendor's log-probability of what is none of the likeliest
LEADS = ("The image most likely shows", "; it could also be", " or")
"""What leads to each class that a sentence mentions."""


YES_OR_NO = re.compile(r"Does the image show this: (.+?)\? Answer Yes or No")
"""How `bbquery.prompt_templates.yes_no` asks; the emulator answers no other form of the question."""


@dataclass(frozen=True)
class Piece:
    """A token that was said. alternatives: tokens that might stand in its place, it among them, likeliest first."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


@functools.lru_cache(maxsize=2**14)
def pieces(text: str) -> tuple[str, ...]:
    """Return the text cut into tokens; joined they are the text again."""
    return tuple(PIECE.findall(text))


def listed(prompt: str) -> list[str]:
    """Return the classes that a prompt lists, each once."""
    lines = (line.strip() for line in prompt.splitlines())
    names = (line.removeprefix(BULLET).strip() for line in lines if line.startswith(BULLET))
    return list(dict.fromkeys(name for name in names if name))


def asked_for_yes_or_no(prompt: str) -> str | None:
    """Return the class that a prompt asks to confirm by yes or no; None where it asks for something else."""
    found = YES_OR_NO.search(prompt)
    return found[1].strip() if found else None


def confirmation(name: str, classes: Classes, probabilities: Sequence[float]) -> tuple[list[str], list[float]]:
    """Return "Yes" and "No" with the model's probability of each; of what it does not know, no."""
    yes = sum(
        probability
        for aliases, probability in zip(classes.names, probabilities, strict=True)
        if name.casefold() in (alias.casefold() for alias in aliases)
    )
    return ["Yes", "No"], [min(yes, 1.0), max(1.0 - yes, 0.0)]


def shares(names: Sequence[str], classes: Classes, probabilities: Sequence[float]) -> list[float]:
    """Return the probability of each name among `names`; one that is no class of the model has none.

    Equal for all if the model knows none of them or gives them nothing.
    """
    known: dict[str, float] = {}
    for aliases, probability in zip(classes.names, probabilities, strict=True):
        for alias in dict.fromkeys(alias.casefold() for alias in aliases):
            known[alias] = known.get(alias, 0.0) + float(probability)
    found = [known.get(name.casefold(), 0.0) for name in names]
    total = sum(found)
    return [share / total for share in found] if total > 0 else [1 / len(names)] * len(names)


def chosen(probabilities: Sequence[float], temperature: float, seed: tuple[int, ...]) -> int:
    """Return the index of the likeliest, or at a temperature one drawn from the probabilities to the power 1/T."""
    if temperature == 0:
        return int(np.argmax(probabilities))
    logits = np.log(np.maximum(probabilities, 1e-300)) / temperature
    weights = np.exp(logits - logits.max())
    return int(np.random.default_rng(seed).choice(len(weights), p=weights / weights.sum()))


def name_alone(names: Sequence[str], probabilities: Sequence[float], choice: int) -> list[Piece]:
    """Say one of the names.

    The log-probabilities of its pieces add up to its own, by the chain rule, if it is not the beginning of another.
    """
    cut = [pieces(name) for name in names]
    said = cut[choice]
    return [_piece(cut, probabilities, said, position) for position in range(len(said))]


def _piece(
    cut: Sequence[tuple[str, ...]], probabilities: Sequence[float], said: tuple[str, ...], position: int
) -> Piece:
    """Say the piece at `position`, among the names that begin with what was said before it and go on."""
    going: dict[str, float] = {}
    for name, probability in zip(cut, probabilities, strict=True):
        if len(name) > position and name[:position] == said[:position]:
            going[name[position]] = going.get(name[position], 0.0) + probability
    total = sum(going.values())
    ranked = sorted(((_log(share, total), text) for text, share in going.items()), key=lambda pair: -pair[0])
    alternatives = tuple((text, logprob) for logprob, text in ranked)
    return Piece(said[position], dict(alternatives)[said[position]], alternatives)


def _log(share: float, total: float) -> float:
    return max(IMPOSSIBLE, math.log(share / total)) if share > 0 else IMPOSSIBLE


def sentence(names: Sequence[str], probabilities: Sequence[float], first: int) -> list[Piece]:
    """Say a sentence about the first choice and the likeliest others. Only the names in it might have been others."""
    order = [first, *(int(i) for i in np.argsort(probabilities)[::-1] if i != first)]
    said: list[Piece] = []
    for position, (lead, choice) in enumerate(zip(LEADS, order, strict=False)):
        said += _certain(f"{lead} {_article(names[choice])}")
        said += _slot(names, probabilities, choice, order[:position])
    return [*said, *_certain(".")]


def masked(names: Sequence[str], probabilities: Sequence[float], choice: int) -> list[Piece]:
    """Fill the mask of the paper's prompt with the choice."""
    return [*_certain(MASKED.removesuffix(" [MASK]")), *_slot(names, probabilities, choice, ()), *_certain(".")]


def _slot(names: Sequence[str], probabilities: Sequence[float], choice: int, before: Sequence[int]) -> list[Piece]:
    """Say a name within a sentence, among all that were not said before."""
    left = [i for i in range(len(names)) if i not in before]
    return name_alone([f" {names[i]}" for i in left], [probabilities[i] for i in left], left.index(choice))


def _certain(text: str) -> list[Piece]:
    return [Piece(piece, 0.0, ((piece, 0.0),)) for piece in pieces(text)]


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou" else "a"
