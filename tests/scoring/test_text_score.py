"""The score of free text: cosines to a reference, towards one sentence and away from another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring import text
from bbquery.scoring.text import BoundSimilarity, Similarity, sentence
from bbquery.types import Answer, AnswerKind, Decision, Label, Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Angles of sentences on the unit circle, so that every cosine is known.
ANGLES = {
    "cat": 0.0,
    "kitten": math.pi / 6,
    "feline": math.pi / 3,
    "dog": math.pi / 2,
    "anticat": math.pi,
    "cat, dog": 0.1,
}


class Circle:
    """Stands for a model."""

    identity = "circle"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        angles = np.array([ANGLES[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.fixture
def circle(monkeypatch: pytest.MonkeyPatch) -> Circle:
    made = Circle()
    monkeypatch.setattr(text, "opened", lambda backend, model: made)
    return made


def said(*texts: str) -> list[Answer]:
    return [Text(one) for one in texts]


def oracle(answers: AnswerKind) -> Capabilities:
    return Capabilities(name="a model", answers=answers, identity={})


def test_the_value_is_the_cosine_to_the_reference(circle: Circle) -> None:
    """All answers in one batch; met from the threshold on; what has no words is undecided and NaN."""
    bound = Similarity(threshold=0.6).bind(Text("dog"), "cat", None)

    decisions, values = bound(said("kitten", "...", "feline", "anticat", " cat\n"))

    np.testing.assert_allclose(values, [math.sqrt(3) / 2, math.nan, 0.5, -1, 1], atol=1e-7)
    assert decisions.tolist() == [1, -1, 0, 0, 1]
    assert decisions.dtype == np.int8
    assert values.dtype == np.float64
    assert circle.batches == [["cat", "kitten", "feline", "anticat", "cat"]]
    assert Similarity(threshold=1).bind(Text("dog"), "cat", None)(said("cat"))[0].tolist() == [Decision.MET]


def test_the_contrast_is_the_difference_of_cosines(circle: Circle) -> None:
    """Met where an answer is nearer to the reference than to the alternative, whatever the threshold."""
    bound = Similarity(away="dog", threshold=1).bind(Text("dog"), "cat", None)

    decisions, values = bound(said("cat", "kitten", "feline", "dog"))

    np.testing.assert_allclose(values, [1, (math.sqrt(3) - 1) / 2, (1 - math.sqrt(3)) / 2, -1], atol=1e-7)
    assert decisions.tolist() == [1, 1, 0, 0]
    assert (bound.about.low, bound.about.high, bound.about.no_information) == (-2, 2, 0)


def test_equally_near_to_both_is_not_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tie says nothing for the reference."""

    class Same(Circle):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.ones((len(texts), 1), dtype=np.float32)

    bound = BoundSimilarity(target="cat", away="dog", threshold=0.5, embedder=Same())

    assert bound(said("bird")) == (np.array([Decision.NOT_MET]), np.array([0.0]))


def test_without_a_target_the_clean_answer_is_the_reference(circle: Circle) -> None:
    """So a map shows what the whole answer rests on."""
    bound = Similarity().bind(Text(" kitten "), None, None)

    assert bound.target == "kitten"
    assert bound(said("kitten"))[1].tolist() == pytest.approx([1])
    assert math.isnan(bound.about.no_information)


def test_labels_are_the_sentence_of_their_names(circle: Circle) -> None:
    """Best first, with commas between; no labels are no words."""
    bound = Similarity().bind(Text("cat"), None, None)
    labels = Labels((Label("cat", 0.9), Label(" "), Label("dog", 0.5)))

    decisions, values = bound([labels, Labels(())])

    np.testing.assert_allclose(values, [math.cos(0.1), math.nan], atol=1e-7)
    assert decisions.tolist() == [1, -1]
    assert bound.unread([labels, Labels(()), Text("?")]) == {"no words": 2}


def test_no_answers_are_no_scores(circle: Circle) -> None:
    """Of nothing, nothing is scored."""
    decisions, values = Similarity(away="dog").bind(Text("cat"), None, None)([])

    assert (decisions.shape, values.shape) == ((0,), (0,))


def test_the_steps_tell_each_cosine(circle: Circle) -> None:
    """What was embedded by what, the cosine to each sentence, and whether the criterion is met."""
    bound = Similarity(away="dog").bind(Text("cat"), None, None)

    assert bound.steps(Text("kitten")) == [
        "embedded by circle: 'kitten'",
        "cosine to 'cat': 0.8660",
        "cosine to 'dog': 0.5000",
        "value 0.3660; nearer to the reference than to 'dog': met",
    ]
    assert bound.steps(Text("!")) == ["embedded by circle: ''", "not read: no words"]
    assert Similarity(threshold=0.9).bind(Text("cat"), None, None).steps(Text("kitten"))[1:] == [
        "cosine to 'cat': 0.8660",
        "value 0.8660; a cosine of 0.9 or more: not met",
    ]


@pytest.mark.parametrize(
    ("options", "clean", "target", "told"),
    [
        ({}, Vector(np.zeros(3)), None, "needs text or labels"),
        ({}, Text("..."), None, "reference sentence is empty"),
        ({}, Text("cat"), "  ", "reference sentence is empty"),
        ({"away": "cat"}, Text("cat"), "cat", "always 0"),
        ({"away": " "}, Text("cat"), "cat", "away is empty"),
        ({"threshold": 1.5}, Text("cat"), "cat", "must be a cosine"),
        ({"threshold": math.nan}, Text("cat"), "cat", "must be a cosine"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    options: dict[str, Any], clean: Answer, target: str | None, told: str
) -> None:
    """The error says what is wrong with which sentence."""
    with pytest.raises(UsageError, match=told):
        Similarity(**options).bind(clean, target, None)


def test_numbers_are_refused_before_anything_is_sent(circle: Circle) -> None:
    """Texts and labels pass, vectors do not, nor does a target that equals the alternative."""
    Similarity(away="dog").check(oracle("text"), ["cat"])
    Similarity(away="dog").check(oracle("labels"), ["cat"])
    with pytest.raises(UsageError, match="needs text or labels"):
        Similarity().check(oracle("probabilities"), [])
    with pytest.raises(UsageError, match="needs text or labels"):
        Similarity().check(oracle("scores"), [])
    with pytest.raises(UsageError, match="always 0"):
        Similarity(away="dog").check(oracle("text"), ["cat", "dog"])


def test_it_is_made_from_the_command_line() -> None:
    """Its options are read by name."""
    score = load.score(r"text:away=a dog\, asleep,backend=onnx,threshold=0.4")

    assert score == Similarity(away="a dog, asleep", backend="onnx", threshold=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "sentence-transformers"])
def test_a_real_model_tells_near_from_far(backend: str) -> None:
    """On MiniLM the reference's paraphrase is met, an unrelated sentence is not, and the contrast orders the two."""
    plain = load.score(f"text:backend={backend}").bind(Text("A cat is sleeping on the sofa."), None, None)
    answers = said("A kitten sleeps on a couch.", "The left car is faster.")

    decisions, values = plain(answers)
    contrast = load.score(f"text:backend={backend},away=Two cars are racing.").bind(
        Text("A cat on a sofa."), None, None
    )

    assert decisions.tolist() == [1, 0]
    assert values[0] > 0.6
    assert values[1] < 0.2
    assert contrast(answers)[0].tolist() == [1, 0]


def test_a_sentence_is_stripped_of_what_surrounds_it() -> None:
    """Spaces around a text say nothing; a text of marks alone says nothing at all."""
    assert [sentence(Text(one)) for one in ("  a cat ", "?!", "")] == ["a cat", "", ""]
