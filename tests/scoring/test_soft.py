"""The probability of a class as a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring.soft import SCORE, BoundLabel, BoundProbability, Probability
from bbquery.types import Answer, AnswerKind, Classes, Decision, Label, Labels, Text, Vector

PETS = Classes((("cat", "tabby"), ("dog",), ("fox",)), ("c1", "d1", "f1"))


def capabilities(kind: AnswerKind = "probabilities", classes: Classes | None = PETS) -> Capabilities:
    return Capabilities(name="vendor", answers=kind, identity={}, classes=classes)


def vector(*values: float) -> Vector:
    return Vector(np.array(values))


def test_the_module_names_its_score() -> None:
    """`load` finds the score under SCORE, and equal configurations are equal."""
    assert SCORE() == Probability()


def test_without_a_target_the_clean_answers_top_class_is_explained() -> None:
    """The target that is bound is the class that the unperturbed image shows most of."""
    bound = Probability().bind(vector(0.2, 0.5, 0.3), None, PETS)

    assert bound == BoundProbability(1, "dog")
    assert (bound.target, bound.unit) == ("dog", "probability")


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ((0.2, 0.5, 0.3), "probability"),
        ((0.333, 0.333, 0.3337), "probability"),
        ((-1.5, 4.0, 0.25), "score of the class"),
        ((0.2, 0.9, 0.7), "score of the class"),
        ((-0.5, 1.0, 0.5), "score of the class"),
    ],
)
def test_a_number_is_called_what_it_is(numbers: tuple[float, ...], unit: str) -> None:
    """Numbers that are a distribution over the classes are probabilities; logits and other numbers are scores."""
    assert Probability().bind(vector(*numbers), "dog", PETS).unit == unit


@pytest.mark.parametrize(("target", "index"), [("tabby", 0), ("2", 2), ("F1", 2), ("Dog", 1)])
def test_a_target_is_found_by_name_index_or_key(target: str, index: int) -> None:
    """Whatever the clean answer shows most of, a named target is the one that is bound."""
    assert Probability().bind(vector(0.1, 0.1, 0.8), target, PETS) == BoundProbability(index, PETS.show(index))


def test_classes_without_names_are_called_by_index() -> None:
    """Where the oracle names no classes, indices name them."""
    assert Probability().bind(vector(0.1, 0.9), None, None) == BoundProbability(1, "1")
    assert Probability().bind(vector(0.1, 0.9), "0", None) == BoundProbability(0, "0")


@pytest.mark.parametrize("target", ["cat", "2"])
def test_a_name_means_nothing_where_classes_have_none(target: str) -> None:
    """A name, or an index beyond the answer, is refused with the indices there are."""
    with pytest.raises(UnknownName, match="known: 0, 1"):
        Probability().bind(vector(0.1, 0.9), target, None)


@pytest.mark.parametrize("clean", [Text("a cat"), Labels(())])
def test_a_clean_answer_without_numbers_cannot_be_bound(clean: Answer) -> None:
    """Without a target, a text or an empty list has nothing on top: the message says what the oracle answered."""
    with pytest.raises(UsageError, match="needs a number for each class or label; this oracle answered"):
        Probability().bind(clean, None, PETS)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.data())
def test_the_value_is_the_targets_number_and_it_is_met_while_on_top(values: list[float], data: st.DataObject) -> None:
    """Value and decision are read off the answer; of equal numbers the first class is on top."""
    index = data.draw(st.integers(0, len(values) - 1))

    decision, value = BoundProbability(index, "x")(vector(*values))

    assert value == values[index]
    assert decision == (Decision.MET if values.index(max(values)) == index else Decision.NOT_MET)


@pytest.mark.parametrize("bound", [BoundProbability(0, "cat"), BoundLabel("cat")])
def test_an_answer_of_another_kind_cannot_be_scored(bound: BoundProbability | BoundLabel) -> None:
    """A text has no probability."""
    with pytest.raises(UsageError, match="this oracle answered Text"):
        bound(Text("a cat"))


def test_a_list_of_labels_is_explained_by_its_first() -> None:
    """Without a target the label that comes first is bound; a target may also be one that is not listed."""
    clean = Labels((Label("Fox", 0.75), Label("cat", 0.5)))

    assert Probability().bind(clean, None, None) == BoundLabel("Fox")
    assert Probability().bind(clean, "hen", None) == BoundLabel("hen")
    assert Probability().bind(Labels(()), "hen", None) == BoundLabel("hen")


@pytest.mark.parametrize(
    ("labels", "decision", "value"),
    [
        ([Label("cat", 0.75), Label("dog", 0.5)], Decision.MET, 0.75),
        ([Label("dog", 0.75), Label("Cat", 0.5)], Decision.NOT_MET, 0.5),
        ([Label("CAT")], Decision.MET, 1.0),
        ([Label("dog"), Label("cat")], Decision.NOT_MET, 1.0),
        ([Label("cat", 0.0)], Decision.MET, 0.0),
        ([Label("dog", 0.75)], Decision.NOT_MET, 0.0),
        ([], Decision.NOT_MET, 0.0),
    ],
)
def test_a_label_scores_its_own_score(labels: list[Label], decision: Decision, value: float) -> None:
    """Met while it comes first; its score is 1 where labels have none, and 0 where it is not listed."""
    assert BoundLabel("cat")(Labels(tuple(labels))) == (decision, value)


def is_refused(known: Capabilities, targets: list[str]) -> bool:
    """Whether the check finds something that would be found too late."""
    try:
        Probability().check(known, targets)
    except UsageError:
        return True
    return False


@pytest.mark.parametrize("kind", ["probabilities", "scores", "labels"])
def test_oracles_with_a_number_for_each_class_or_label_can_be_scored(kind: AnswerKind) -> None:
    """Targets that exist pass the check, in any of their spellings."""
    assert not is_refused(capabilities(kind), ["cat", "TABBY", "d1", "2"])


def test_text_is_refused_before_anything_is_sent() -> None:
    """The message names the oracle, what it answers and what the score needs."""
    with pytest.raises(
        UsageError, match="vendor answers text; the score 'soft' needs a number for each class or label"
    ):
        Probability().check(capabilities("text"), [])


def test_an_unknown_target_is_found_before_anything_is_sent() -> None:
    """A typing error costs no query."""
    with pytest.raises(UnknownName, match="unknown label 'dgo'"):
        Probability().check(capabilities(), ["cat", "dgo"])


def test_targets_wait_for_the_clean_answer_where_classes_have_no_names() -> None:
    """How many classes there are is known only from an answer, so the check lets any target pass."""
    assert not is_refused(capabilities("scores", None), ["17"])
