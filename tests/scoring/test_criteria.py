"""Criteria for when the clean label is lost: S1, S2 and S3, and a class that is to be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.scoring import criteria
from bbquery.scoring.box import SameObject
from bbquery.scoring.criteria import EMPTY, Turned
from bbquery.scoring.hard import PathDistance
from bbquery.scoring.label import SameLabel
from bbquery.types import Answer, Classes, Decision, Label, Labels, Text, Vector

if TYPE_CHECKING:
    from bbquery.scoring.base import BoundScore

pytestmark = pytest.mark.slow

MET, NOT_MET, UNDECIDED = Decision.MET, Decision.NOT_MET, Decision.UNDECIDED
CLEAN = Labels((Label("Dog", 0.9), Label("Beagle", 0.8), Label("Snout", 0.6)))


def listed(*names: str) -> Labels:
    """Return a list of labels, each scored .1 less than the one before."""
    return Labels(tuple(Label(name, 0.9 - place / 10) for place, name in enumerate(names)))


def decisions(score: BoundScore, *answers: Answer) -> list[int]:
    return [int(decision) for decision in score(answers)[0]]


def same(target: str | None = None) -> BoundScore:
    return SameLabel().bind(CLEAN, target, None)


@pytest.mark.parametrize(
    ("answer", "s1", "s2", "s3"),
    [
        (CLEAN, MET, MET, MET),
        (listed("Beagle", "Dog"), NOT_MET, MET, MET),
        (listed("snout"), NOT_MET, MET, NOT_MET),  # of the clean list, whatever its case, but no kind of dog
        (listed("Cat", "Dog"), NOT_MET, NOT_MET, MET),
        (listed("Cat", "Poodle"), NOT_MET, NOT_MET, MET),  # a kind of dog that the clean list lacks
        (listed("Poodle"), NOT_MET, NOT_MET, MET),
        (listed("Cat", "Tree"), NOT_MET, NOT_MET, NOT_MET),
        (listed("Cat", "qwxz"), NOT_MET, NOT_MET, UNDECIDED),  # which might be a kind of dog
        (listed("Dog", "qwxz"), MET, MET, MET),
        (Labels(()), UNDECIDED, UNDECIDED, UNDECIDED),
    ],
)
def test_each_criterion_has_its_own_table(answer: Answer, s1: int, s2: int, s3: int) -> None:
    """S1 goes by the first label, S2 by the clean set, S3 by WordNet's subtree; an empty list is neither for all."""
    score = same()

    assert decisions(criteria.first_label(score), answer) == [s1]
    assert decisions(criteria.clean_labels(score, CLEAN), answer) == [s2]
    assert decisions(criteria.subtree(score, CLEAN, None, None, 0.0), answer) == [s3]


def test_a_label_counts_for_s3_only_above_tau() -> None:
    """At the score itself it does not count any more; a label without a score always does."""
    answer = Labels((Label("Cat", 0.9), Label("Poodle", 0.5)))
    unscored = Labels((Label("Cat"), Label("Poodle")))
    found = {tau: criteria.subtree(same(), CLEAN, None, None, tau) for tau in (0.0, 0.49, 0.5)}

    assert [decisions(score, answer) for score in found.values()] == [[MET], [MET], [NOT_MET]]
    assert decisions(found[0.5], unscored) == [MET]


def test_a_kind_of_the_clean_label_has_not_left_it_where_the_score_knows_kinds() -> None:
    """By WordNet's score a poodle still is a dog, by s1 and s2 too; by the same label it is not."""
    hard = PathDistance().bind(CLEAN, None, None)

    for score in (criteria.first_label(hard), criteria.clean_labels(hard, CLEAN)):
        assert decisions(score, listed("Poodle"), listed("Cat")) == [MET, NOT_MET]
    assert decisions(criteria.first_label(same()), listed("Poodle")) == [NOT_MET]


def test_a_target_that_the_clean_list_lacks_leaves_no_set_to_stay_in() -> None:
    """Where the true label is none of the clean list's, s2 does not hold of the clean image itself."""
    assert decisions(criteria.clean_labels(same("Cat"), CLEAN), CLEAN) == [NOT_MET]
    assert decisions(criteria.clean_labels(same("Beagle"), CLEAN), CLEAN) == [MET]


def test_for_one_label_s1_and_s2_are_the_same() -> None:
    """A model that says one label has a clean set of one; a vector has its top class."""
    one, classes = Labels((Label("Dog"),)), Classes((("crane",), ("dog",), ("crane",)))
    vector = Vector(np.array([0.5, 0.2, 0.3]))
    other, third = Vector(np.array([0.1, 0.7, 0.2])), Vector(np.array([0.1, 0.2, 0.7]))
    of_label, of_vector = SameLabel().bind(one, None, None), SameLabel().bind(vector, None, classes)

    assert decisions(criteria.first_label(of_label), one, listed("Cat")) == [MET, NOT_MET]
    assert decisions(criteria.clean_labels(of_label, one), one, listed("Cat")) == [MET, NOT_MET]
    assert decisions(criteria.first_label(of_vector), vector, other, third) == [MET, NOT_MET, NOT_MET]
    assert decisions(criteria.clean_labels(of_vector, vector), vector, other, third) == [MET, NOT_MET, NOT_MET]


def test_the_top_class_of_a_vector_counts_for_s3_whatever_tau() -> None:
    """Every class of a softmax has a share: only the first is what the model says."""
    classes = Classes((("dog",), ("beagle",), ("cat",)))
    clean = Vector(np.array([0.6, 0.2, 0.2]))
    s3 = criteria.subtree(SameLabel().bind(clean, None, classes), clean, None, classes, 0.9)

    assert decisions(s3, clean, Vector(np.array([0.1, 0.5, 0.4])), Vector(np.array([0.3, 0.3, 0.4]))) == [
        MET, MET, NOT_MET,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clean", "classes", "said"),
    [
        (Labels((Label("qwxz"),)), None, "WordNet does not know 'qwxz'"),
        (Vector(np.array([0.6, 0.4])), None, "no label"),
        (Vector(np.array([0.6, 0.4])), Classes((("qwxz",), ("dog",))), "WordNet does not know"),
    ],
)
def test_a_label_that_wordnet_does_not_know_has_no_subtree(clean: Answer, classes: Classes | None, said: str) -> None:
    """S3 is unknown there, which is said and never taken for an answer."""
    with pytest.raises(UsageError, match=said):
        criteria.subtree(SameLabel().bind(clean, None, classes), clean, None, classes, 0.0)


def test_values_stay_those_of_the_score_and_are_known_where_the_decision_is() -> None:
    """What guides a search is the score's; where it cannot read a label that is decided, it says nothing."""
    clean = listed("Dog", "qwxz")
    hard = PathDistance().bind(clean, None, None)
    answers = [listed("qwxz", "Dog"), listed("Cat"), listed("zxwq"), Labels(())]

    met, values = criteria.clean_labels(hard, clean)(answers)

    within = hard(answers)
    assert within[0].tolist() == [UNDECIDED, NOT_MET, UNDECIDED, UNDECIDED]
    assert met.tolist() == [MET, NOT_MET, UNDECIDED, UNDECIDED]
    assert values[0] == hard.about.no_information
    assert values[1] == within[1][1]
    assert np.isnan(values[2:]).all()


@pytest.mark.parametrize("score", ["label", "hard", "hard:form=distance"])
def test_a_class_to_be_reached_is_met_while_it_is_not(score: str) -> None:
    """Turned round, refusals and empty lists stay undecided, and the value falls as the class comes nearer."""
    turned = Turned(criteria.first_label(load.score(score).bind(CLEAN, "cat", None)))
    answers: list[Answer] = [listed("Car"), listed("Dog"), listed("Cat"), Labels(())]

    found, values = turned(answers)

    assert found.tolist() == [MET, MET, NOT_MET, UNDECIDED]
    assert values[0] >= values[1] > values[2] or (score == "label" and values[0] == values[1] > values[2])
    assert turned.about.direction == "higher"
    assert turned.about.low <= values[2] < values[0] <= turned.about.high
    assert turned.target == "cat"


def test_empty_lists_are_counted_among_what_could_not_be_read() -> None:
    """A list with nothing in it is said by its own name, beside labels that nobody knows."""
    hard = PathDistance().bind(CLEAN, None, None)
    answers = [Labels(()), listed("qwxz"), Labels(())]

    for score in (criteria.first_label(hard), criteria.subtree(hard, CLEAN, None, None, 0.0)):
        assert score.unread(answers) == {EMPTY: 2, "qwxz": 1}


def test_a_text_is_judged_by_its_score() -> None:
    """Free text has no list: s1 and s2 are the score's own decision."""
    score = SameLabel().bind(Text("a dog"), "dog", None)

    for bound in (criteria.first_label(score), criteria.clean_labels(score, Text("a dog"))):
        assert decisions(bound, Text("my dog"), Text("a cat")) == [MET, NOT_MET]


def test_an_object_is_lost_where_it_is_not_found_in_its_box() -> None:
    """By s1 and s2: another object of its name does not stand for it, and a list without any has lost it."""
    left, right = Label("bicycle", 0.5, Box.of(0, 0, 0.4, 1)), Label("bicycle", 0.75, Box.of(0.6, 0, 1, 1))
    clean = Labels((right, left, Label("person", 0.4, Box.of(0, 0, 1, 1))))
    score = SameObject().bind(clean, "bicycle@left", None)
    answers = clean, Labels((right,)), Labels((Label("bicycle", 0.1, left.box),)), Labels(())

    for judged in (criteria.first_label(score), criteria.clean_labels(score, clean)):
        assert decisions(judged, *answers) == [MET, NOT_MET, MET, NOT_MET]


def test_a_set_names_each_label_once() -> None:
    """Of objects, several may have one name."""
    clean = Labels((Label("dog", 0.9), Label("dog", 0.8), Label("cat", 0.1)))

    judged = criteria.clean_labels(SameLabel().bind(clean, None, None), clean)

    assert judged.about.criterion == "the first label is one of the clean answer's: 'dog', 'cat'"
