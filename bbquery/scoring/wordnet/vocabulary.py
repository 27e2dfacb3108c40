"""Meanings of labels at one oracle: by its own classes where it has a closed set, else by WordNet.

Classes are keyed: ImageNet's names repeat ("crane" is a bird and a machine), their WordNet IDs do not. A class whose
key is a WordNet ID means exactly that; another class means what all its names together do.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bbquery.errors import UnknownName, UsageError
from bbquery.scoring.wordnet.senses import Meaning
from bbquery.scoring.wordnet.spelling import plain
from bbquery.types import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bbquery.scoring.wordnet.senses import Resolver
    from bbquery.types import Classes

_KEY: Final = re.compile(r"n\d{8}")
NUMBER: Final = re.compile(r"#+\d+")  # the index of a class, and nothing else


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words of an oracle; classes: its closed set, None where it may say anything."""

    resolver: Resolver
    classes: Classes | None

    @functools.cached_property
    def of_classes(self) -> tuple[Meaning | None, ...]:
        """Synsets of each class, in the oracle's order; None for a class that is no noun of WordNet 3.0."""
        if self.classes is None:
            return ()
        keys = self.classes.keys or ("",) * len(self.classes)
        labels = (
            key if _KEY.fullmatch(key) else ", ".join(names)
            for key, names in zip(keys, self.classes.names, strict=True)
        )
        return tuple(map(self.resolver.resolve, labels))

    def meaning(self, label: str) -> Meaning | None:
        """Return what a label in an answer means: every class of this name, else what it means to anybody."""
        indices = self._by_name.get(plain(label), ())
        found = [meaning for index in indices if (meaning := self.of_classes[index]) is not None]
        if not found:
            return self.resolver.resolve(label)
        senses = dict.fromkeys(sense for meaning in found for sense in meaning.senses)
        return Meaning(tuple(senses), " or ".join(f"class {index}" for index in indices))

    def class_named(self, target: str) -> int | None:
        """Return the class that a target names by key, name or number; None where it names none.

        Raises:
            UnknownName: it names several.
        """
        if self.classes is None:
            return None
        wanted = folded(target)
        if NUMBER.fullmatch(wanted) or wanted in map(folded, self.classes.keys):
            return self.classes.find(target)
        named = self._by_name.get(plain(target), ())
        if len(named) == 1:
            return named[0]
        return self.classes.find(target) if named or wanted.isdecimal() else None

    def known(self, target: str) -> int | None:
        """Return the one synset that a target means: exactly that of a class or a WordNet ID, else the likeliest.

        None where it names neither a class nor a noun, or a class that is no noun.

        Raises:
            UnknownName: it names several classes.
        """
        index = self.class_named(target)
        meaning = self.resolver.resolve(target) if index is None else self.of_classes[index]
        return None if meaning is None else meaning.senses[0]

    def synset(self, target: str) -> int:
        """Return the one synset that a target means, as `known` does.

        Raises:
            UnknownName: it names neither a class nor a noun, or several classes.
            UsageError: it names a class that is no noun.
        """
        synset = self.known(target)
        if synset is not None:
            return synset
        if self.class_named(target) is not None:
            raise UsageError(f"the class {target!r} is no noun of WordNet 3.0: name the WordNet ID it stands for")
        known = [lemma.replace("_", " ") for lemma in self.resolver.nouns.senses]
        raise UnknownName("target (a WordNet ID, a class of the oracle, or a noun of WordNet 3.0)", target, known)

    @functools.cached_property
    def _by_name(self) -> Mapping[str, tuple[int, ...]]:
        """The classes by what an oracle calls them, the first name or all joined; else by any of their names."""
        listed = self.classes.names if self.classes else ()
        by_any = _indexed([plain(name) for name in names] for names in listed)
        return by_any | _indexed([plain(names[0]), plain(", ".join(names))] for names in listed)


@functools.lru_cache(maxsize=4)  # every target of every image asks for the same one
def vocabulary(resolver: Resolver, classes: Classes | None) -> Vocabulary:
    """Return the words of an oracle with these classes."""
    return Vocabulary(resolver, classes)


def _indexed(names: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    """Return where each name is."""
    found: dict[str, tuple[int, ...]] = {}
    for index, own in enumerate(names):
        for name in dict.fromkeys(own):
            found[name] = (*found.get(name, ()), index)
    return found
