"""The score that reads a class out of a text, for each of its ways to read and to score."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring import prompts
from bbquery.scoring._reading_score import BoundReading
from bbquery.scoring.base import About
from bbquery.scoring.prompts import Prompts, parsed_classes
from bbquery.types import Answer, AnswerKind, Classes, Decision, Label, Labels, Text, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.base import BoundScore

PETS = Classes((("cat", "kitty"), ("dog",)))
CAT = BoundReading(target="cat")
INNER = About(unit="letters", direction="lower", low=0, high=9, criterion="short", no_information=math.nan)


@dataclass(frozen=True)
class Letters:
    """Stands for the WordNet score: counts the letters of a label, and knows no fox."""

    target: str = "letters"
    about: About = INNER

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        names = [answer.labels[0].name for answer in answers if isinstance(answer, Labels)]
        values = np.array([math.nan if name == "fox" else len(name) for name in names], dtype=np.float64)
        return np.where(np.isnan(values), -1, values < 4).astype(np.int8), values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        return Counter("fox" for answer in answers if answer == Labels((Label("fox"),)))

    def steps(self, answer: Answer) -> list[str]:
        return [f"letters of {answer}"]


def oracle(answers: AnswerKind = "text", classes: Classes | None = None) -> Capabilities:
    return Capabilities(name="a model", answers=answers, identity={}, classes=classes)


def scored(bound: BoundScore, *texts: str) -> tuple[list[int], list[float]]:
    decisions, values = bound([Text(text) for text in texts])
    assert decisions.dtype == np.int8
    assert values.dtype == np.float64
    return decisions.tolist(), values.tolist()


def test_a_closed_set_gives_1_for_the_target_and_0_for_another_class() -> None:
    """And what cannot be read as a class is undecided and NaN."""
    bound = Prompts(classes="cat=kitty|dog").bind(Text("whatever"), "cat", None)

    decisions, values = scored(bound, "A kitty!", "dog", "Sorry, I can't help with that.")

    assert decisions == [Decision.MET, Decision.NOT_MET, Decision.UNDECIDED]
    np.testing.assert_array_equal(values, [1, 0, math.nan])
    assert (bound.target, bound.about.no_information) == ("cat", 0.5)


def test_the_oracle_s_own_classes_are_the_closed_set() -> None:
    """Without classes of its own the score takes the list that the model chose from."""
    bound = Prompts().bind(Text("dog"), None, PETS)

    assert scored(bound, "Dog.", "kitty") == ([1, 0], [1, 0])
    assert bound.target == "dog"


def test_without_a_closed_set_a_phrase_meets_what_it_has_within() -> None:
    """A large tabby cat is a cat; a catalogue is not."""
    bound = Prompts(then="match").bind(Text("whatever"), "Cat", None)

    assert scored(bound, "A large tabby cat.", "a catalogue") == ([1, 0], [1, 0])


def test_no_answers_are_no_scores() -> None:
    """Of nothing, nothing is scored."""
    assert scored(Prompts(then="match").bind(Text("a cat"), None, None)) == ([], [])


def test_what_could_not_be_read_is_counted_by_its_name() -> None:
    """Failures to read a class come beside labels that the inner score does not know."""
    bound = BoundReading(target="cat", inner=Letters())
    answers = [Text(text) for text in ("cat", "a fox", "a cat and a dog", "It is a fox", "Too dark to say", "...")]

    assert bound.unread(answers) == Counter({"fox": 2, "several classes": 1, "unclear": 1, "no class": 1})
    assert Prompts(then="match").bind(Text("cat"), None, None).unread(answers[2:5]) == Counter(
        {"several classes": 1, "unclear": 1}
    )


def test_an_inner_score_scores_what_was_read() -> None:
    """Its values, its undecided and its meaning are passed on, in the order of the answers."""
    bound = BoundReading(target="cat", inner=Letters())

    decisions, values = scored(bound, "a horse", "...", "a cat", "a fox")

    assert decisions == [0, -1, 1, -1]
    np.testing.assert_array_equal(values, [5, math.nan, 3, math.nan])
    assert bound.about is INNER


@pytest.mark.parametrize(
    ("bound", "text", "steps"),
    [
        (CAT, "a tabby cat", ["class read from the whole text: tabby cat", "is the target cat"]),
        (
            BoundReading(target="cat"),
            "Answer: a dog",
            ["class read from the answer line: dog", "is not the target cat"],
        ),
        (CAT, "", ["no class was read from the whole text: no class"]),
        (BoundReading(target="cat", inner=Letters()), "cat", ["class read from the whole text: cat", "letters of"]),
    ],
)
def test_the_steps_tell_what_was_read_from_where(bound: BoundReading, text: str, steps: list[str]) -> None:
    """A line for the answer, one for the reading, one for the score."""
    told = bound.steps(Text(text))

    assert told[0] == f"answer: {text!r}"
    assert all(line.startswith(step) for line, step in zip(told[1:], steps, strict=True))


@pytest.mark.parametrize(("classes", "then"), [(None, "hard"), ("cat|dog", "match")])
def test_an_open_set_is_scored_by_wordnet_and_a_closed_one_by_match(
    classes: str | None, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way has its default, and the form goes to the WordNet score."""
    asked: list[Any] = []

    class Hard:
        def __init__(self, **options: Any) -> None:
            asked.append(options)

        def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
            asked.append((capabilities.answers, *targets))

        def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
            asked.append((clean, target, classes))
            return Letters()

    monkeypatch.setattr(prompts, "PathDistance", Hard)
    score = Prompts(classes=classes, form="distance")
    score.check(oracle(), ["cat"])
    bound = score.bind(Text("A dog."), "cat", None)

    assert isinstance(bound, BoundReading)
    assert (bound.inner is not None) == (then == "hard")
    assert asked == (
        [{"form": "distance"}, ("labels", "cat"), {"form": "distance"}, (Labels((Label("cat"),)), "cat", None)]
        if then == "hard"
        else []
    )


def test_yes_is_scored_by_its_probability() -> None:
    """With log-probabilities P(yes) among yes and no, without them 1 or 0, and NaN for neither."""
    bound = Prompts(read="yes-no").bind(Text("Yes"), "cat", None)
    tokens = (Token("No", math.log(0.6), (("No", math.log(0.6)), ("Yes", math.log(0.2)))),)

    decisions, values = bound([Text("No", tokens), Text("Yes."), Text("no"), Text("It is unclear"), Text("!")])

    np.testing.assert_allclose(values, [0.25, 1, 0, math.nan, math.nan], rtol=1e-12)
    assert decisions.tolist() == [0, 1, 0, -1, -1]
    assert bound.unread([Text("It is unclear"), Text("Yes")]) == Counter({"unclear": 1})
    assert (bound.target, bound.about.no_information) == ("cat", 0.5)
    assert bound.steps(Text("No", tokens))[-1] == "P(yes) / (P(yes) + P(no)) = 0.2500"
    assert bound.steps(Text("Hm"))[1:] == ["no log-probabilities", "not read: no class among the log-probabilities"]


def test_a_class_is_scored_by_its_probability_among_the_classes() -> None:
    """Met where it is the likeliest, whatever was said; NaN where no class was listed."""
    told = (Token("dog", math.log(0.3), (("cat", math.log(0.5)), ("dog", math.log(0.3)))),)
    silent = (Token("sofa", 0.0, (("sofa", 0.0),)),)
    bound = Prompts(classes="cat|dog", read="probability").bind(Text("dog", told), "cat", None)

    decisions, values = bound([Text("dog", told), Text("sofa", silent)])

    np.testing.assert_allclose(values, [0.625, math.nan], rtol=1e-12)
    assert decisions.tolist() == [1, -1]
    assert (
        Prompts(classes="cat|dog", read="probability").bind(Text("dog", told), "dog", None)([Text("dog", told)])[0] == 0
    )
    assert bound.unread([Text("dog", told), Text("sofa", silent)]) == {"no class among the log-probabilities": 1}
    assert (bound.target, bound.about.no_information) == ("cat", 0.5)
    assert bound.steps(Text("dog", told))[2:] == [
        "among the classes: cat 0.6250, dog 0.3750",
        "probability of cat: 0.6250",
    ]
    assert bound.steps(Text("sofa", silent))[2:] == ["not read: no class among the log-probabilities"]
    assert bound([])[1].shape == (0,)


def test_a_target_is_taken_from_the_clean_answer() -> None:
    """Of a closed set it is the class, though another shares its name; of an open one the phrase."""
    cranes = Classes((("crane", "lifting crane"), ("crane", "wading crane")))

    bound = Prompts().bind(Text("It's a wading crane."), None, cranes)

    assert isinstance(bound, BoundReading)
    assert (bound.index, bound.target) == (1, "crane")
    assert Prompts(then="match").bind(Text("I think it's a red fox."), None, None).target == "red fox"


@pytest.mark.parametrize(
    ("options", "clean", "target", "told"),
    [
        ({"classes": "cat|dog"}, Text("I'm sorry, I can't help."), None, r"names no class \(refusal\)"),
        ({"classes": "cat|dog"}, Text("cat"), "cow", "unknown label 'cow'"),
        ({"read": "probability"}, Text("cat"), "cat", "needs the closed set"),
        ({"read": "probability", "classes": "cat|dog"}, Text("cat"), "cat", "no log-probabilities"),
        ({"then": "match"}, Labels(()), None, "reads texts"),
        ({"classes": "cat"}, Text("cat"), "cat", "at least two names"),
        ({"classes": "cat=|dog"}, Text("cat"), "cat", "at least two names"),
    ],
)
def test_what_cannot_be_bound_is_refused(options: dict[str, Any], clean: Answer, target: str | None, told: str) -> None:
    """Before more is paid the error says what is missing."""
    with pytest.raises(UsageError, match=told):
        Prompts(**options).bind(clean, target, None)


@pytest.mark.parametrize(
    ("options", "capabilities", "targets", "told"),
    [
        ({}, oracle("labels"), ["cat"], "reads texts"),
        ({"read": "yes-no"}, oracle(), [], "yes to what"),
        ({"read": "probability"}, oracle(), [], "needs the closed set"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_sent(
    options: dict[str, Any], capabilities: Capabilities, targets: list[str], told: str
) -> None:
    """The oracle's kind of answer and the targets are checked first."""
    with pytest.raises(UsageError, match=told):
        Prompts(**options).check(capabilities, targets)


def test_targets_outside_the_closed_set_are_refused_before_anything_is_sent() -> None:
    """Those within pass, by name or alias, and yes or no is about anything."""
    with pytest.raises(UnknownName):
        Prompts().check(oracle(classes=PETS), ["kitty", "cow"])

    Prompts().check(oracle(classes=PETS), ["kitty", "dog"])
    Prompts(read="yes-no").check(oracle(), ["cow"])


def test_it_is_made_from_the_command_line() -> None:
    """Its options are read by name, aliases included."""
    score = load.score("prompts:classes=cat=kitty|dog,read=probability")

    assert score == Prompts(classes="cat=kitty|dog", read="probability")
    assert parsed_classes("cat = kitty|dog").names == (("cat", "kitty"), ("dog",))


def test_the_class_that_the_clean_answer_names_is_itself_though_its_number_is_the_name_of_another() -> None:
    """A closed set of digits: the answer "seven" is class 0, whose number is the name of class 1."""
    digits = Classes((("seven",), ("0",)))

    assert Prompts(then="match").bind(Text("seven"), None, digits).target == "seven"
