"""The nouns of WordNet, read from its database files (format: wndb(5WN)).

data.noun, a synset a line:  number, lexicographer's file, "n", count of words (hexadecimal), words each with an id,
                             count of pointers, pointers (symbol, number, part of speech, source and target), gloss.
index.noun, a lemma a line:  lemma, "n", count of senses, ..., the senses' numbers, the commonest first.
noun.exc, an irregular form a line: the form, its lemmas.

Numbers are read, never used as positions in the file, so line ends may be LF or CRLF.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bbquery.scoring.wordnet.data import Source

SYNSETS: Final = 82_115  # nouns of WordNet 3.0 (wnstats(7WN)); another count is a damaged or cut file
LEMMAS: Final = 117_798
IRREGULAR: Final = 2_050
HYPERNYM, INSTANCE_HYPERNYM, MEMBER = b"@", b"@i", b"%m"


@dataclass(frozen=True, eq=False)
class Nouns:
    """Every synset by its number, which is its WordNet ID less the "n".

    parents: its hypernyms and, where it is a single thing or person, what it is an instance of.
    names: its words, with spaces. file: the number of its lexicographer's file (lexnames(5WN)): 5 is animals.
    instances: those that are a single thing or person ("Paris").
    members: of a group, what belongs to it: of the family Felidae, the feline and its genera.
    senses: for each lemma, lower case with underscores, its synsets, the commonest first.
    irregular: lemmas of irregular plurals ("geese").
    """

    parents: Mapping[int, tuple[int, ...]]
    names: Mapping[int, tuple[str, ...]]
    file: Mapping[int, int]
    instances: frozenset[int]
    members: Mapping[int, tuple[int, ...]]
    senses: Mapping[str, tuple[int, ...]]
    irregular: Mapping[str, tuple[str, ...]]


@dataclass
class _Synsets:
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    file: dict[int, int] = field(default_factory=dict)
    instances: set[int] = field(default_factory=set)
    members: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def add(self, line: bytes) -> None:
        fields = line.partition(b" | ")[0].split()
        number, words = int(fields[0]), int(fields[3], 16)
        after = 4 + 2 * words
        pointers = [(fields[i], int(fields[i + 1])) for i in range(after + 1, after + 1 + 4 * int(fields[after]), 4)]
        self.parents[number] = tuple(to for mark, to in pointers if mark in (HYPERNYM, INSTANCE_HYPERNYM))
        self.names[number] = tuple(word.decode("ascii").replace("_", " ") for word in fields[4:after:2])
        self.file[number] = int(fields[1])
        if any(mark == INSTANCE_HYPERNYM for mark, _ in pointers):
            self.instances.add(number)
        if members := tuple(to for mark, to in pointers if mark == MEMBER):
            self.members[number] = members


@functools.lru_cache(maxsize=2)  # one is used; another is checked before it replaces it
def read(source: Source) -> Nouns:
    """Read all nouns; about 0.7 s and 80 MB, once a process.

    Raises:
        UsageError: a file is missing, damaged or cut.
    """
    try:
        nouns = _read(source)
    except (ValueError, IndexError) as error:
        raise UsageError(f"WordNet in {source.place} is damaged ({error}): remove it or fetch it again") from error
    found = len(nouns.parents), len(nouns.senses), len(nouns.irregular)
    if found != (SYNSETS, LEMMAS, IRREGULAR):
        raise UsageError(
            f"WordNet in {source.place} is damaged: it has {found[0]} synsets of {SYNSETS}, {found[1]} lemmas of"
            f" {LEMMAS} and {found[2]} irregular plurals of {IRREGULAR}: remove it or fetch it again"
        )
    return nouns


def _read(source: Source) -> Nouns:
    synsets = _Synsets()
    for line in _lines(source, "data.noun"):
        synsets.add(line)
    senses = {}
    for line in _lines(source, "index.noun"):
        lemma, _, count, *rest = line.decode("ascii").split()
        senses[lemma] = tuple(map(int, rest[-int(count) :]))
    irregular = {}
    for line in _lines(source, "noun.exc"):
        form, *lemmas = line.decode("ascii").split()
        irregular[form] = tuple(lemmas)
    found = vars(synsets) | {"instances": frozenset(synsets.instances)}
    return Nouns(**found, senses=senses, irregular=irregular)


def _lines(source: Source, name: str) -> Iterator[bytes]:
    """Return the lines of a file that are not its licence, which is set in by spaces."""
    return (line for line in source.read(name).splitlines() if line and not line.startswith(b" "))


def wnid(synset: int) -> str:
    """Return the WordNet ID of a noun: "n02123045"."""
    return f"n{synset:08d}"
