"""Normal form of labels, as WordNet writes its lemmas: lower case, words joined by "_"."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MARKS = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-", "_": " "})
_EDGES: Final = " \t\r\n.,;:!?\"'*#<>|/\\-"
_SQUEEZED: Final = re.compile(r"[ _\-'.]")

# Regular plurals and their singulars (morphy(7WN), rules of detachment for nouns).
_DETACHED: Final = (
    ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
    ("ies", "y"),
)  # fmt: skip
_NO_PLURALS: Final = ("ss", "us", "is")  # glass, cactus, iris
SHORTEST_SINGULAR: Final = 3  # "gas" is no plural of GA, the state


def plain(label: str) -> str:
    """Return a label in lower case and single spaces, without accents and without punctuation around it."""
    apart = unicodedata.normalize("NFKD", label).translate(_MARKS)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split()).strip(_EDGES)


def lemma(phrase: str) -> str:
    """Return a phrase as WordNet writes it."""
    return phrase.replace(" ", "_")


def squeezed(phrase: str) -> str:
    """Return a phrase without what people put between its parts or leave out: "street light" is "streetlight"."""
    return _SQUEEZED.sub("", phrase)


def singulars(phrase: str, irregular: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the possible singulars of a phrase, irregular forms first; its last word is inflected."""
    before, space, last = phrase.rpartition(" ")
    for form in (*irregular.get(lemma(phrase), ()), *(before + space + one for one in irregular.get(last, ()))):
        yield form.replace("_", " ")
    if last.endswith(_NO_PLURALS):
        return
    for ending, instead in _DETACHED:
        singular = last.removesuffix(ending) + instead
        if last.endswith(ending) and len(singular) >= SHORTEST_SINGULAR:
            yield before + space + singular
