"""Reader of the class that a text names, of a closed set: whole words, longest name first, retracted names left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bbquery.scoring._chatter import Reading, kept, pieces, regions, why_none
from bbquery.types import composed

if TYPE_CHECKING:
    from bbquery.types import Classes

WORD = re.compile(r"[^\W_]+")
BETWEEN = re.compile(r"[^\w,;:!?()\n]*|_+")  # what may stand between the words of one name
COMPOUND = re.compile(r"-(?:like|shaped|free|themed|style|styled|ish|related)\b", re.IGNORECASE)  # "dog-like" is no dog
WRAPPING = " \t\r\n.,;:!?*_`'\"()[]{}<>#|~-“”„‟«»‹›‘’‚「」『』《》【】"
"""What may stand around a name that is the whole answer."""


@dataclass(frozen=True)
class Named:
    """A class named in a text. indices: of the classes that have the name, several where it repeats."""

    start: int
    end: int
    indices: tuple[int, ...]


class ClosedSet:
    """The names and keys of a closed set, by their words."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self._by_words: dict[tuple[str, ...], tuple[int, ...]] = {}
        for index, names in enumerate(classes.names):
            keys = (classes.keys[index],) if classes.keys else ()
            for words in {_words(name) for name in (*names, *keys)} - {()}:
                self._by_words[words] = (*self._by_words.get(words, ()), index)
        self._longest = max(map(len, self._by_words), default=0)

    def read(self, text: str) -> Reading:
        """Return the class that a text names, or how it failed. A class's own name is always read as that class."""
        text = composed(text)  # as names are
        whole = self._by_words.get(_words(text))
        if whole is not None and _is_alone(text, self.classes, whole):
            return self._reading({whole}, "the whole text")
        for where, region in regions(text):
            named = {found.indices for found in self._live(region)}
            if named:
                return self._reading(named, where)
        return Reading(failure=why_none(text))

    def first(self, text: str) -> int | None:
        """Return where in a text the first name begins that counts; None where there is none."""
        return min((name.start for name in self._live(text)), default=None)

    def _reading(self, named: set[tuple[int, ...]], where: str) -> Reading:
        ((index, *others), *more) = named
        if others or more:
            return Reading(failure="several classes", where=where)
        return Reading(self.classes.show(index), index, where=where)

    def _live(self, region: str) -> list[Named]:
        """Return the classes that a region names and does not take back."""
        found = list(self._named(region))
        protected = tuple((name.start, name.end) for name in found)
        live = []
        for _, start, end in pieces(region):
            stop = kept(region, start, end, protected)
            live += [name for name in found if start <= name.start < stop]
        return live

    def _named(self, text: str) -> Iterator[Named]:
        """Yield what a text names from left to right; at each word the longest name."""
        words = list(WORD.finditer(text))
        at = 0
        while at < len(words):
            length, found = self._longest_at(text, words[at : at + self._longest])
            if found is not None:
                yield found
            at += length

    def _longest_at(self, text: str, words: list[re.Match[str]]) -> tuple[int, Named | None]:
        joined = 1
        while joined < len(words) and BETWEEN.fullmatch(text, words[joined - 1].end(), words[joined].start()):
            joined += 1
        for length in range(min(joined, len(words)), 0, -1):
            *first, last = (word[0].casefold() for word in words[:length])
            for ending in _singular(last):
                indices = self._by_words.get((*first, ending))
                if indices and not COMPOUND.match(text, words[length - 1].end()):
                    return length, Named(words[0].start(), words[length - 1].end(), indices)
        return 1, None


@lru_cache(maxsize=16)
def closed_set(classes: Classes) -> ClosedSet:
    """Return the closed set of these classes, made once."""
    return ClosedSet(classes)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word[0].casefold() for word in WORD.finditer(composed(name)))


def _is_alone(text: str, classes: Classes, indices: tuple[int, ...]) -> bool:
    """Whether a text is a name, but for what may stand around it: "no sign" is, where it is a class; "cat, dog" not."""
    bare = text.strip(WRAPPING).casefold()
    return any(bare == composed(name).strip(WRAPPING).casefold() for index in indices for name in classes.names[index])


def _singular(word: str) -> tuple[str, ...]:
    """Return a word as it is and as its plural's singulars may be."""
    forms = [word]
    if len(word) > 3 and word.endswith("s"):
        forms.append(word[:-1])
        if word.endswith("ies"):
            forms.append(word[:-3] + "y")
        elif word.endswith("ves"):
            forms += [word[:-3] + "f", word[:-3] + "fe"]
        if word.endswith("es"):
            forms.append(word[:-2])
    return tuple(forms)
