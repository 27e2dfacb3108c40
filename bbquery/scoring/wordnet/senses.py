"""Meanings of a label: from a model's words to synsets, the likeliest in a picture first.

The first of these steps that finds a noun decides:

1. A WordNet ID ("n02123045", perhaps with names after it) is that synset.
2. The whole label is a lemma, as written, as a plural, or with its hyphens and spaces written otherwise.
3. Synonyms between commas ("tabby, tabby cat", as ImageNet's classes are named) are what all of them mean.
4. A list ("ducks, geese and swans") is any of its items, the first one first.
5. The head noun: what comes before a preposition ("people in nature"), unless that is a word of kind or amount
   ("slice of pizza"), and of that the longest end that is a lemma ("hunting dog" of "small hunting dog"). Words before
   it that name a kind of it are taken instead: "crane bird" is the crane that is a bird.

A word in brackets chooses among senses: "crane (bird)". Statements ("it is not a cat") are not labels, and so have no
meaning here: making a class out of a sentence is the score `prompts`' task.

A taxon ("Felidae") is a group, far from every animal in WordNet's tree; it means its most general members: the feline.

A word has several senses. `Meaning.senses` has all, so that a score can take the *nearest*. Their order matters where
one is needed, as for a target: WordNet orders them by how common they are in texts, where a plant is a factory first,
so they are first grouped by how likely they are seen (`_VISIBLE`), and single persons and places ("Stephen Crane")
come last.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bbquery.scoring.wordnet import data, nouns
from bbquery.scoring.wordnet.spelling import lemma, plain, singulars, squeezed
from bbquery.scoring.wordnet.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bbquery.scoring.wordnet.nouns import Nouns

LONGEST: Final = 200  # letters; what is longer is no label

# Files of WordNet's lexicographers (lexnames(5WN)), by how likely a sense in them is what a label of a picture means.
_VISIBLE: Final = (
    frozenset({3, 5, 8}),  # the tops (plant, person, food), animals, body parts
    frozenset({6, 13, 17, 19, 20, 27}),  # artifacts, food, natural objects, phenomena, plants, substances
    frozenset({14, 15, 18, 25}),  # groups, locations, persons, shapes
)

TAXON: Final = 7992450  # taxonomic group

_WNID: Final = re.compile(r"n(\d{8})\b")
_BRACKETS: Final = re.compile(r"[()\[\]{}]")
_BRACKETED: Final = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_COMMAS: Final = re.compile(r"\s*[,;/|]\s*")
_BETWEEN: Final = re.compile(r"\s*[,;/|]\s*(?:and |or |& )?|\s+(?:and|or|&)\s+")
_PREPOSITIONS: Final = re.compile(
    r" (?:of|in|on|at|with|without|for|from|by|near|under|over|inside|behind|against) (?:an? |the )?"
)
_ARTICLES: Final = re.compile(r"(?:an?|the) ")
_KINDS_AND_AMOUNTS: Final = frozenset({
    "kind", "type", "sort", "form", "mode", "breed", "species", "variety", "piece", "pair", "slice", "bit", "part",
    "bunch", "bowl", "plate", "glass", "cup", "bottle", "group", "pile", "set", "close-up", "closeup", "picture",
    "photo", "photograph", "image", "view",
})  # fmt: skip
_STATEMENT: Final = re.compile(
    r"\b(?:i|i'm|it|it's|is|isn't|are|aren't|was|were|be|been|this|that|these|those|there|he|she|we|you|they|not|no|cannot"
    r"|can't|could|would|should|may|might|sorry|unable|think|believe|looks?|appears?|seems?|shows?|depicts?|contains?)\b"
)
_NOTHING: Final = frozenset({
    "yes", "no", "none", "unknown", "nothing", "n/a", "na", "nan", "null", "other", "others", "undefined",
})  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """The synsets a label may mean, likeliest first, and how they were found, for people."""

    senses: tuple[int, ...]
    how: str


class Resolver:
    """Finds what labels mean among the nouns."""

    def __init__(self, known: Nouns) -> None:
        self.nouns = known
        self.tree = Tree(known.parents)

    def resolve(self, label: str) -> Meaning | None:
        """Return what a label means; None where it names no noun of WordNet 3.0."""
        if len(label) > LONGEST:
            return None
        text = plain(label)
        found = _WNID.match(text)
        if found and int(found[1]) in self.nouns.parents:
            return Meaning((int(found[1]),), "its WordNet ID")
        if not text or text in _NOTHING or _STATEMENT.fullmatch(text):
            return None
        return self._whole(text) or self._qualified(text)

    def show(self, synset: int) -> str:
        """Return a synset for people: "tabby, tabby cat (n02123045)"."""
        return f"{', '.join(self.nouns.names[synset])} ({nouns.wnid(synset)})"

    def _whole(self, text: str) -> Meaning | None:
        """Look a phrase up as it is."""
        of_plural = list(singulars(text, self.nouns.irregular))
        as_written, as_plural = self._senses([text]), self._senses(of_plural)
        alike = [] if as_written and text.isalpha() else self._alike(text) or self._alike(*of_plural)
        senses = self._ordered([*as_written, *as_plural, *self._senses(alike)], as_written)
        if not senses:
            return None
        how = f"the noun {text!r}" if as_written else f"the plural {text!r}" if as_plural else f"the noun {alike[0]!r}"
        return Meaning(senses, how)

    def _alike(self, *phrases: str) -> list[str]:
        """Return the lemmas that are one of these but for hyphens, spaces, full stops and apostrophes."""
        return [form for phrase in phrases for form in self._spellings.get(squeezed(phrase), ())]

    def _senses(self, phrases: Iterable[str]) -> list[int]:
        return [sense for phrase in phrases for sense in self.nouns.senses.get(lemma(phrase), ())]

    @functools.cached_property
    def _spellings(self) -> Mapping[str, list[str]]:
        """All lemmas, by what is left of them without what joins their parts."""
        found: dict[str, list[str]] = defaultdict(list)
        for known in self.nouns.senses:
            found[squeezed(known)].append(known.replace("_", " "))
        return found

    def _ordered(self, senses: Iterable[int], preferred: Iterable[int] = ()) -> tuple[int, ...]:
        """Return the senses once each, likeliest in a picture first; else the preferred first, else as they come."""
        first = frozenset(preferred)
        seen = dict.fromkeys(member for sense in senses for member in self._members(sense))
        return tuple(sorted(seen, key=lambda sense: (self._hidden(sense), sense not in first)))

    def _members(self, sense: int) -> Sequence[int]:
        """Return the most general members of a taxon; of anything else, itself."""
        if not self.tree.is_a(sense, (TAXON,)):
            return (sense,)
        members = [one for one in self.nouns.members.get(sense, ()) if not self.tree.is_a(one, (TAXON,))]
        general = [one for one in members if not self.tree.is_a(one, set(members) - {one})]
        return general or (sense,)

    def _hidden(self, sense: int) -> int:
        """Return how unlikely a sense is to be seen: 0 to 4."""
        if sense in self.nouns.instances:
            return len(_VISIBLE) + 1
        file = self.nouns.file[sense]
        return next((place for place, files in enumerate(_VISIBLE) if file in files), len(_VISIBLE))

    def _qualified(self, text: str) -> Meaning | None:
        """Take brackets off, and let what is in them choose among the senses."""
        qualifiers = [plain(inner) for inner in _BRACKETED.findall(text)]
        bare = plain(_BRACKETED.sub(" ", text))
        if not qualifiers and (whole := plain(_BRACKETS.sub(" ", text))) != text:
            return self.resolve(whole)  # less a bracket that was never closed
        if not qualifiers:
            return None if _STATEMENT.search(text) else self._parts(text)
        if not bare:
            return self.resolve(qualifiers[0])
        meaning = self.resolve(bare)
        if meaning is None:
            return None
        kinds = [sense for inner in qualifiers if (found := self._whole(inner)) for sense in found.senses]
        if not kinds:
            return meaning
        chosen = self._kinds_of(meaning.senses, kinds) or self._nearest_to(meaning.senses, kinds)
        return Meaning(chosen, f"{meaning.how}, which is a {', '.join(map(repr, qualifiers))}")

    def _nearest_to(self, senses: Sequence[int], others: Sequence[int]) -> tuple[int, ...]:
        distances = {sense: min(self.tree.distance(sense, other) for other in others) for sense in senses}
        return tuple(sense for sense in senses if distances[sense] == min(distances.values()))

    def _parts(self, text: str) -> Meaning | None:
        """Take a label apart: synonyms, a list, or a head noun."""
        synonyms, items = _COMMAS.split(text), [item for item in _BETWEEN.split(text) if item]
        if len(items) == 1:
            return self._head(text)
        return self._synonyms(synonyms) or self._list(items)

    def _synonyms(self, items: list[str]) -> Meaning | None:
        """Return what all items mean, where each is a lemma and they share a sense."""
        found = [self._whole(item) for item in items]
        senses = [meaning.senses for meaning in found if meaning]
        if len(items) == 1 or len(senses) < len(items):
            return None
        shared = [sense for sense in senses[0] if all(sense in others for others in senses)]
        named = [sense for sense in shared if self._is_named(sense, items)]
        if not shared:
            return None
        return Meaning(tuple(named or shared), f"what {', '.join(map(repr, items))} all mean")

    def _is_named(self, sense: int, items: list[str]) -> bool:
        """Whether the items are all the names of a synset, and no others."""
        return {name.casefold() for name in self.nouns.names[sense]} == set(items)

    def _list(self, items: list[str]) -> Meaning | None:
        """Return what any item means. The words of the last before its head belong to all: "black and white cat"."""
        shares_head = len(items[-1].split()) > max(len(item.split()) for item in items[:-1])
        ordered = items[::-1] if shares_head else items
        found = [meaning for item in ordered if (meaning := self._whole(item) or self._head(item))]
        if not found:
            return None
        senses = dict.fromkeys(sense for meaning in found for sense in meaning.senses)
        return Meaning(tuple(senses), f"a list, {'; '.join(meaning.how for meaning in found)}")

    def _head(self, text: str) -> Meaning | None:
        """Return what the head noun of a phrase means."""
        bare = _ARTICLES.sub("", text, count=1) if _ARTICLES.match(text) else text
        before, *after = _PREPOSITIONS.split(bare, maxsplit=1)
        words = before.split()
        last = words[-1] if words else ""
        if after and not _KINDS_AND_AMOUNTS.isdisjoint((last, last.removesuffix("s"))):
            return self._whole(after[0]) or self._head(after[0])
        for start in range(len(words)):
            head = self._whole(" ".join(words[start:]))
            if head:
                return self._apposed(words[:start], head, " ".join(words[start:]))
        return None

    def _apposed(self, before: list[str], head: Meaning, name: str) -> Meaning:
        """Return the words before a head where they name a kind of it, else the head."""
        for start in range(len(before)):
            named = self._whole(" ".join(before[start:]))
            kinds = self._kinds_of(named.senses, head.senses) if named else ()
            if named and kinds:
                return Meaning(kinds, f"{named.how}, which is a {name!r}")
        return Meaning(head.senses, f"the head noun {name!r}" if before else head.how)

    def _kinds_of(self, senses: Iterable[int], others: Iterable[int]) -> tuple[int, ...]:
        wanted = frozenset(others)
        return tuple(sense for sense in senses if self.tree.is_a(sense, wanted))


def resolver() -> Resolver:
    """Return the resolver over this machine's WordNet; made once a process.

    Raises:
        UsageError: WordNet is not on this machine, or is damaged; says how to get it.
    """
    return _resolver(data.find())


@functools.lru_cache(maxsize=1)
def _resolver(source: data.Source) -> Resolver:
    return Resolver(nouns.read(source))
