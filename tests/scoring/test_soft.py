"""The soft score of classes and labels: what it is bound to, what it decides, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring.soft import SCORE, Soft
from bbquery.types import Answer, AnswerKind, Classes, Decision, Label, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from bbquery.scoring.base import BoundScore

PETS = Classes((("cat", "tabby"), ("dog",), ("fox",)), ("c1", "d1", "f1"))
CALLED_C_PLUS = Classes((("C++",), ("C",), ("dog",)))


def capabilities(kind: AnswerKind = "probabilities", classes: Classes | None = PETS) -> Capabilities:
    return Capabilities(name="vendor", answers=kind, identity={}, classes=classes)


def vector(*values: float) -> Vector:
    return Vector(np.array(values))


def labels(*pairs: tuple[str, float | None]) -> Labels:
    return Labels(tuple(Label(name, score) for name, score in pairs))


def one(score: BoundScore, answer: Answer) -> tuple[Decision, float]:
    """The decision and the value of one answer."""
    decisions, values = score([answer])
    return Decision(int(decisions[0])), float(values[0])


def test_the_module_names_its_score() -> None:
    """`load` finds the score under SCORE, and equal configurations are equal."""
    assert SCORE() == Soft()


def test_without_a_target_the_clean_answers_top_class_is_explained() -> None:
    """The target that is bound is the class that the unperturbed image shows most of."""
    bound = Soft().bind(vector(0.2, 0.5, 0.3), None, PETS)

    assert (bound.target, bound.about.unit) == ("dog", "probability")
    assert one(bound, vector(0.1, 0.7, 0.2)) == (Decision.MET, 0.7)


@pytest.mark.parametrize(
    ("numbers", "unit", "low", "high", "nothing"),
    [
        ((0.2, 0.5, 0.3), "probability", 0, 1, 1 / 3),
        ((0.333, 0.333, 0.3337), "probability", 0, 1, 1 / 3),
        ((-1.5, 4.0, 0.25), "score of the class", -np.inf, np.inf, np.nan),
        ((0.2, 0.9, 0.7), "score of the class", 0, 1, np.nan),
        ((-0.5, 1.0, 0.5), "score of the class", -np.inf, np.inf, np.nan),
        ((0.5, 3.0, 1.0), "score of the class", -np.inf, np.inf, np.nan),
    ],
)
def test_a_number_is_called_what_it_is(
    numbers: tuple[float, ...], unit: str, low: float, high: float, nothing: float
) -> None:
    """A distribution over the classes has probabilities; logits and numbers that stand alone are scores."""
    about = Soft().bind(vector(*numbers), "dog", PETS).about

    assert (about.unit, about.direction, about.low, about.high) == (unit, "higher", low, high)
    np.testing.assert_allclose(about.no_information, nothing)


@pytest.mark.parametrize(
    ("target", "shown", "value"),
    [
        ("tabby", "cat", 0.125),
        ("2", "fox", 0.5),
        ("F1", "fox", 0.5),
        ("Dog", "dog", 0.375),
        ("cat+dog", "cat+dog", 0.5),
        ("dog + c1", "dog+cat", 0.5),
        ("tabby+cat", "cat", 0.125),
    ],
)
def test_a_target_is_found_by_name_index_or_key(target: str, shown: str, value: float) -> None:
    """Whatever the clean answer shows most of, the named class is bound, or the set of those joined by plus signs."""
    bound = Soft().bind(vector(0.1, 0.1, 0.8), target, PETS)

    assert bound.target == shown
    assert one(bound, vector(0.125, 0.375, 0.5))[1] == value


def test_a_class_with_a_plus_in_its_name_is_itself() -> None:
    """A plus joins names only where the whole is none."""
    assert Soft().bind(vector(0.1, 0.1, 0.8), "C++", CALLED_C_PLUS).target == "C++"
    assert Soft().bind(vector(0.1, 0.1, 0.8), "C+dog", CALLED_C_PLUS).target == "C+dog"


def test_a_plus_in_a_free_label_is_written_with_a_backslash() -> None:
    """Where no closed set tells names with a plus from sets, a plus is written as on the left here."""
    bound = Soft().bind(Labels(()), r"C\+\++dog", None)

    assert bound.target == "C+++dog"
    assert [one(bound, labels((name, 0.5)))[1] for name in ("C++", "dog", "C")] == [0.5, 0.5, 0.0]


@pytest.mark.parametrize("target", ["cat+", "+", "cat++dog"])
def test_an_empty_name_in_a_set_is_refused(target: str) -> None:
    """The message shows how a set is written."""
    with pytest.raises(UsageError, match=r"as in cat\+dog"):
        Soft().bind(vector(0.1, 0.1, 0.8), target, PETS)


@pytest.mark.parametrize("form", ["probability", "margin"])
def test_all_classes_together_are_no_target(form: str) -> None:
    """What is certain from the start says nothing of the image."""
    with pytest.raises(UsageError, match="all 3 classes"):
        Soft(form=form).bind(vector(0.1, 0.1, 0.8), "cat+dog+fox", PETS)  # type: ignore[arg-type] # one of the forms


def test_an_oracle_of_one_number_can_be_explained() -> None:
    """A model of one output has no class but this, and its number is the score."""
    assert one(Soft().bind(vector(-3.5), None, None), vector(2.5)) == (Decision.MET, 2.5)


def test_classes_without_names_are_called_by_index() -> None:
    """Where the oracle names no classes, indices name them."""
    assert Soft().bind(vector(0.1, 0.9), None, None).target == "1"
    assert Soft().bind(vector(0.1, 0.9), "0", None).target == "0"


@pytest.mark.parametrize("target", ["cat", "2", "0+cat"])
def test_a_name_means_nothing_where_classes_have_none(target: str) -> None:
    """A name, or an index beyond the answer, is refused with the indices there are."""
    with pytest.raises(UnknownName, match="known: 0, 1"):
        Soft().bind(vector(0.1, 0.9), target, None)


@pytest.mark.parametrize(
    ("clean", "said"),
    [
        (Labels(()), "no label: name a target"),
        (NoAnswer("filtered"), "needs numbers; this oracle answered NoAnswer"),
        (Text("a cat"), "log-probabilities"),
    ],
)
def test_a_clean_answer_without_numbers_cannot_be_bound(clean: Answer, said: str) -> None:
    """Without a target an empty list has nothing on top, nor has a text without log-probabilities any number."""
    with pytest.raises(UsageError, match=said):
        Soft().bind(clean, None, PETS)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.data())
def test_the_value_is_the_targets_number_and_it_is_met_while_on_top(values: list[float], data: st.DataObject) -> None:
    """Value and decision are read off the answer; of equal numbers the first class is on top."""
    index = data.draw(st.integers(0, len(values) - 1))
    clean = vector(*(1 / len(values) for _ in values))

    decision, value = one(Soft().bind(clean, str(index), None), vector(*values))

    assert value == values[index]
    assert decision == (Decision.MET if values.index(max(values)) == index else Decision.NOT_MET)


@pytest.mark.parametrize("clean", [vector(0.5, 0.25, 0.25), labels(("cat", 0.5))])
@pytest.mark.parametrize("answer", [Text("a cat"), vector(0.5, 0.5)])
def test_an_answer_of_another_kind_cannot_be_scored(clean: Answer, answer: Answer) -> None:
    """A text has no probability, and a vector of another length is another oracle's."""
    with pytest.raises(UsageError, match="this oracle answered"):
        Soft().bind(clean, "cat", PETS)([answer])


def test_a_list_of_labels_is_explained_by_its_first() -> None:
    """Without a target the label that comes first is bound, as it is; a target may also be one that is not listed."""
    clean = labels(("Fox+", 0.75), ("cat", 0.5))

    assert Soft().bind(clean, None, None).target == "Fox+"
    assert one(Soft().bind(clean, None, None), clean) == (Decision.MET, 0.75)
    assert Soft().bind(clean, "hen", None).target == "hen"
    assert Soft().bind(Labels(()), "hen", None).target == "hen"


@pytest.mark.parametrize(
    ("answer", "decision", "value"),
    [
        (labels(("cat", 0.75), ("dog", 0.5)), Decision.MET, 0.75),
        (labels(("dog", 0.75), ("Cat", 0.5)), Decision.NOT_MET, 0.5),
        (labels(("CAT", None)), Decision.MET, 1.0),
        (labels(("dog", None), ("cat", None)), Decision.NOT_MET, 1.0),
        (labels(("cat", 0.0)), Decision.MET, 0.0),
        (labels(("dog", 0.75)), Decision.NOT_MET, 0.0),
        (labels(), Decision.NOT_MET, 0.0),
    ],
)
def test_a_label_scores_its_own_score(answer: Labels, decision: Decision, value: float) -> None:
    """Met while it comes first; its score is 1 where labels have none, and 0 where it is not listed."""
    assert one(Soft().bind(Labels(()), "cat", None), answer) == (decision, value)


def test_a_set_of_labels_has_the_best_ones_score() -> None:
    """Scores that stand each for itself do not add up, whichever of them comes first."""
    bound = Soft().bind(Labels(()), "cat+lynx", None)

    assert one(bound, labels(("lynx", 0.9), ("cat", 0.8))) == (Decision.MET, 0.9)
    assert one(bound, labels(("dog", 0.9), ("cat", 0.8))) == (Decision.NOT_MET, 0.8)


@pytest.mark.parametrize("target", ["tabby", "c1", "0"])
def test_a_label_of_a_closed_set_counts_by_any_of_its_names(target: str) -> None:
    """Where the classes are known, the target's other names and its key are the target too."""
    bound = Soft().bind(labels(("dog", 0.9)), target, PETS)

    assert bound.target == "cat"
    assert [one(bound, labels((name, 0.5)))[1] for name in ("cat", "Tabby", "C1", "dog")] == [0.5, 0.5, 0.5, 0.0]


def test_what_a_list_says_of_a_label_it_lacks_is_no_information() -> None:
    """The declared value of "no information" is what an empty list scores, in every form that has one."""
    for form in ("probability", "log_odds", "cross_entropy", "margin"):
        bound = Soft(form=form).bind(Labels(()), "cat", None)

        assert one(bound, Labels(()))[1] == bound.about.no_information


def is_refused(known: Capabilities, targets: list[str], score: Soft) -> bool:
    """Whether the check finds something that would be found too late."""
    try:
        score.check(known, targets)
    except UsageError:
        return True
    return False


@pytest.mark.parametrize("kind", ["probabilities", "scores", "labels", "text"])
def test_oracles_with_numbers_can_be_scored(kind: AnswerKind) -> None:
    """Targets that exist pass the check, in any of their spellings and joined."""
    assert not is_refused(capabilities(kind), ["cat", "TABBY", "d1", "2", "cat+dog"], Soft())


@pytest.mark.parametrize("form", ["log_odds", "cross_entropy"])
def test_scores_have_no_logarithm(form: str) -> None:
    """Before anything is sent, forms that need probabilities say what to do where the oracle gives scores."""
    with pytest.raises(UsageError, match="softmax=true"):
        Soft(form=form).check(capabilities("scores"), [])  # type: ignore[arg-type] # one of the forms

    assert not is_refused(capabilities("scores"), [], Soft(form=form, softmax=True))  # type: ignore[arg-type] # likewise
    assert not is_refused(capabilities("scores"), [], Soft(form="margin"))


@pytest.mark.parametrize("kind", ["probabilities", "labels", "text"])
def test_only_scores_have_a_softmax(kind: AnswerKind) -> None:
    """A softmax of probabilities would be nonsense, so it is refused."""
    with pytest.raises(UsageError, match=f"answers {kind}"):
        Soft(softmax=True).check(capabilities(kind), [])


@pytest.mark.parametrize(
    ("clean", "said"), [(vector(-2.0, 3.0, 1.0), "-2 to 3"), (labels(("cat", 97.0)), "answered 97")]
)
def test_numbers_outside_0_to_1_have_no_log_odds(clean: Answer, said: str) -> None:
    """What only the clean answer can show is refused with its numbers."""
    with pytest.raises(UsageError, match=said):
        Soft(form="log_odds").bind(clean, "cat", PETS)


def test_labels_may_have_scores_of_any_size() -> None:
    """Confidences in per cent can be scored as they are, and the range says that it has no end."""
    bound = Soft().bind(labels(("cat", 97.0)), None, None)

    assert (bound.about.low, bound.about.high) == (-np.inf, np.inf)
    assert one(bound, labels(("cat", 42.0))) == (Decision.MET, 42.0)


def test_an_unknown_target_is_found_before_anything_is_sent() -> None:
    """A typing error costs no query, within a set either."""
    for targets in (["cat", "dgo"], ["cat+dgo"]):
        with pytest.raises(UnknownName, match="unknown label 'dgo'"):
            Soft().check(capabilities(), targets)


@pytest.mark.parametrize(("kind", "targets"), [("scores", ["17"]), ("labels", ["a+b"])])
def test_targets_wait_for_the_clean_answer_where_classes_have_no_names(kind: AnswerKind, targets: list[str]) -> None:
    """How many classes there are is known only from an answer, so the check lets any target pass but an empty one."""
    assert not is_refused(capabilities(kind, None), targets, Soft())
    assert is_refused(capabilities(kind, None), ["a+"], Soft())


def test_a_text_need_not_name_a_class() -> None:
    """Asked for yes or no about a class, a model answers neither class: the target is what it answers."""
    assert not is_refused(capabilities("text"), ["Yes"], Soft())


@pytest.mark.parametrize(
    ("clean", "target", "answer", "said"),
    [
        (
            vector(0.5, 0.3, 0.2),
            "cat+dog",
            vector(0.2, 0.2, 0.6),
            ["fox 0.6", "their sum is 0.4", "value is the target"],
        ),
        (vector(0.5, 0.9, 0.7), "cat+dog", vector(0.2, 0.3, 0.6), ["each for itself", "the best of them is 0.3"]),
        (vector(0.5, 0.3, 0.2), "cat", vector(0.2, 0.2, 0.6), ["cat (class 0) 0.2"]),
        (labels(), "cat", labels(("dog", 0.9), ("cat", 0.8)), ["'cat' at place 2: 0.8"]),
        (labels(), "cat", labels(("dog", 0.9)), ["not listed: 0"]),
    ],
)
def test_its_steps_show_the_numbers(clean: Answer, target: str, answer: Answer, said: list[str]) -> None:
    """What is on top, what the target has, and what is made of it can be followed."""
    told = "\n".join(Soft().bind(clean, target, PETS).steps(answer))

    assert [words for words in said if words not in told] == []


def test_nothing_in_vectors_and_lists_is_unread() -> None:
    """Every number and every label is what it is."""
    assert not Soft().bind(vector(0.5, 0.5), "0", None).unread([vector(0.5, 0.5)])
    assert not Soft().bind(labels(), "cat", None).unread([labels(("no such thing", 0.5))])


def test_whole_numbers_are_read_as_numbers() -> None:
    """An answer of integers, as a one-hot model gives, scores like the same answer in floating point."""
    whole, floating = Vector(np.array([1, 0])), Vector(np.array([1.0, 0.0]))
    bound = Soft().bind(floating, "0", None)

    assert bound([whole])[1].tolist() == bound([floating])[1].tolist() == [1.0]


def test_a_label_without_a_score_among_others_that_have_one_is_unread() -> None:
    """It is not taken as certain, as where no label has a score: the value is NaN, and the target is reported."""
    score = Soft().bind(Labels((Label("cat", 0.4), Label("dog", 0.6))), "dog", None)
    lacking = Labels((Label("cat", 0.4), Label("dog")))

    _, values = score([lacking, Labels((Label("dog", 0.3), Label("cat"))), Labels((Label("dog"),))])

    assert np.isnan(values[0])
    assert list(values[1:]) == [0.3, 1.0]
    assert list(score.unread([lacking])) == ["dog without a score, among labels that have one"]
