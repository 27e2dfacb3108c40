"""An oracle's answers are held to what it promised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bbquery.client.answer_checks import checked
from bbquery.errors import MalformedAnswer, OutcomeUnknown
from bbquery.images.boxes import Box
from bbquery.oracle import Capabilities
from bbquery.types import AnswerKind, Classes, Label, Labels, NoAnswer, Reply, Text, Vector
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.types import Answer

TWO = Classes((("cat",), ("dog",)))


def capabilities(kind: AnswerKind, classes: Classes | None = None) -> Capabilities:
    return Capabilities(name="vendor", answers=kind, identity={}, classes=classes)


def vector(*values: float) -> Vector:
    return Vector(np.array(values, dtype=np.float64))


def fault(answer: object, promised: Capabilities) -> str | None:
    """Return what is said against a reply with this answer, None where the reply passes as it is."""
    reply = Reply(answer, cost=Units(queries=1, tokens=7))  # type: ignore[arg-type] # adapters may answer anything
    (result,) = checked([reply], 1, promised)
    if result is reply:
        return None
    assert isinstance(result, MalformedAnswer)
    assert result.cost == reply.cost
    return str(result)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("probabilities", vector(0.25, 0.75)),
        ("probabilities", vector(-1e-7, 1 + 1e-7)),
        ("scores", vector(-1e300, 1e300)),
        ("labels", Labels((Label("cat", 0.9), Label("dog")))),
        ("labels", Labels((Label("cat", 0.9, Box.of(0, 0, 0.5, 1)),))),
        ("labels", Labels(())),
        ("text", Text("a cat")),
        ("text", Text("")),
    ],
)
def test_what_was_promised_passes_as_it_is(kind: AnswerKind, answer: Answer) -> None:
    """A sound reply is the very object that was given; probabilities may stray by a rounding of float32."""
    assert fault(answer, capabilities(kind)) is None


@pytest.mark.parametrize("kind", ["probabilities", "scores", "labels", "text"])
def test_a_refusal_and_an_error_pass_whatever_was_promised(kind: AnswerKind) -> None:
    """No answer is no broken promise, and an item that failed alone keeps its own error."""
    lost = OutcomeUnknown("lost")

    assert fault(NoAnswer("filtered"), capabilities(kind, TWO)) is None
    assert checked([lost], 1, capabilities(kind, TWO)) == [lost]


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("probabilities", vector(0.2, np.nan), "the number of class 1 is nan"),
        ("scores", vector(np.inf, 1.0), "the number of class 0 is inf"),
        ("probabilities", vector(0.2, 0.3, 0.5), "an answer has 3 numbers for 2 classes"),
        ("probabilities", vector(0.2, 1.1), "the probability of class 1 is 1.1; .* declare answers=scores"),
        ("probabilities", vector(-0.5, 1.0), "the probability of class 0 is -0.5"),
        ("scores", Vector(np.zeros((2, 1))), r"an answer of shape \(2, 1\)"),
        ("scores", Vector(np.zeros(())), r"an answer of shape \(\)"),
        ("scores", Vector(np.zeros(0)), r"an answer of shape \(0,\)"),
        ("probabilities", Text("cat"), "promised probabilities, answered Text"),
        ("labels", vector(0.2, 0.8), "promised labels, answered Vector"),
        ("labels", Labels((Label("cat", 1.0), Label("dog", np.nan))), "the score of label 'dog' is nan"),
        ("text", Labels((Label("cat"),)), "promised text, answered Labels"),
        ("text", None, "promised text, answered NoneType"),
        ("scores", "cat", "promised scores, answered str"),
    ],
)
def test_a_broken_promise_is_named(kind: AnswerKind, answer: object, said: str) -> None:
    """The error says which number of which class is wrong, or what came in its place, and keeps what it cost."""
    assert re.match(f"vendor: {said}", fault(answer, capabilities(kind, TWO)) or "nothing")


@pytest.mark.parametrize("given_", [0, 1, 3])
def test_a_wrong_number_of_answers_spoils_all(given_: int) -> None:
    """Nobody can say which answer belongs to which image, so each image gets the error."""
    results = checked([Reply(vector(0.5, 0.5))] * given_, 2, capabilities("probabilities", TWO))

    assert [str(result) for result in results] == [f"vendor: {given_} answers to 2 images"] * 2
    assert all(isinstance(result, MalformedAnswer) for result in results)


def test_one_bad_answer_leaves_its_neighbours() -> None:
    """Answers are checked one by one."""
    good, bad = Reply(vector(0.5, 0.5)), Reply(vector(np.nan, 0.5))

    first, second, third = checked([good, bad, good], 3, capabilities("probabilities", TWO))

    assert first is third is good
    assert isinstance(second, MalformedAnswer)


@given(hnp.arrays(np.float64, st.integers(0, 6), elements=st.floats(width=32)))
def test_only_finite_vectors_pass_and_only_shares_as_probabilities(values: np.ndarray) -> None:
    """Whatever an oracle computes, a vector that passes has finite numbers, and probabilities within 0 to 1."""
    finite = len(values) > 0 and bool(np.isfinite(values).all())
    shares = finite and bool(values.min() >= -1e-6 and values.max() <= 1 + 1e-6)

    assert (fault(Vector(values), capabilities("scores")) is None) == finite
    assert (fault(Vector(values), capabilities("probabilities")) is None) == shares


def test_a_very_long_label_is_cut_before_it_is_scored_or_shown() -> None:
    """A megabyte of a name is no class; the other labels, all scores and boxes stay as they are."""
    answer = Labels((Label("x" * 2**20, 0.75, Box.of(0, 0, 1, 1)), Label("cat", 0.25)))

    (reply,) = checked([Reply(answer, served="v1")], 1, capabilities("labels"))

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, Labels)
    assert [(len(label.name), label.score) for label in reply.answer.labels] == [(501, 0.75), (3, 0.25)]
    assert [label.box for label in reply.answer.labels] == [Box.of(0, 0, 1, 1), None]
    assert reply.served == "v1"


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("labels", Labels((Label(5),)), "the name of a label is 5"),  # type: ignore[arg-type]  # functions may
        ("labels", Labels((Label("cat", "high"),)), "the score of label 'cat' is 'high'"),  # type: ignore[arg-type]
        ("labels", Labels((Label("cat", 1.0, (0, 0, 1, 1)),)), "the box of label 'cat' is (0, 0, 1, 1)"),  # type: ignore[arg-type]
        ("labels", Labels((Label("cat", 1.0, Box(0, 0, 224, 224)),)), "the box of label 'cat' is Box(left=0"),
        ("labels", Labels((Label("c" * 2**20, float("nan")),)), "is nan"),
        ("text", Text(5), "the text is 5"),  # type: ignore[arg-type]
    ],
)
def test_parts_of_a_wrong_type_are_malformed(kind: AnswerKind, answer: Answer, said: str) -> None:
    """A function may return a reply of its own making; what is wrong in it is named, in a line."""
    told = fault(answer, capabilities(kind))

    assert told is not None
    assert said in told
    assert len(told) < 200
