"""How an answer that a person types is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.commands.typed_answer import Typed, readings
from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.ledger import codec
from bbquery.types import Answer, AnswerKind, Classes, Label, Labels, NoAnswer, Text, Token, Vector

if TYPE_CHECKING:
    from pathlib import Path

PETS = Classes((("cat",), ("dog",), ("fox",)))
YES = Text("Yes", (Token("Yes", -0.25, (("Yes", -0.25), ("No", -1.5))),))


def first(text: str, kind: AnswerKind | None = None, classes: Classes | None = None) -> Typed:
    return readings(text, kind, classes)[0]


def labels(*pairs: tuple[str, float | None]) -> Labels:
    return Labels(tuple(Label(name, score) for name, score in pairs))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("cat", labels(("cat", None))),
        ("tabby cat", labels(("tabby cat", None))),
        ("Cat, Felidae", labels(("Cat", None), ("Felidae", None))),
        ("Cat 0.97, Felidae 0.91", labels(("Cat", 0.97), ("Felidae", 0.91))),
        ("Felidae: 91%, Small cats (0.97)", labels(("Small cats", 0.97), ("Felidae", 0.91))),
        ("Cat=.5", labels(("Cat", 0.5))),
        ("noise 1e-3 0.5", labels(("noise 1e-3", 0.5))),
        ("Boeing 747", labels(("Boeing 747", None))),
        ("42", labels(("42", None))),
        ("true", labels(("true", None))),
        ("It is a cat.", Text("It is a cat.")),
        ("Cat!", Text("Cat!")),
        ("the image shows a cat", Text("the image shows a cat")),
        ("cat\ndog", Text("cat\ndog")),
        ('{"class": "cat"}', Text('{"class": "cat"}')),
        ('{"cat": 0.2, "dog": 0.7}', labels(("dog", 0.7), ("cat", 0.2))),
        ('["cat", ["dog", 0.5], ["hen", null]]', labels(("cat", None), ("dog", 0.5), ("hen", None))),
        ('[["cat"]]', labels(("cat", None))),
        ('[{"name": "cat", "score": 1}, {"name": "dog"}]', labels(("cat", 1.0), ("dog", None))),
        ('{"labels": ["cat"]}', labels(("cat", None))),
        ("[]", labels()),
        ('"a cat"', Text("a cat")),
        ('{"text": "a cat"}', Text("a cat")),
        (codec.pack(YES).decode(), YES),
        ('[["cat", "dog"]]', Text('[["cat", "dog"]]')),
        ("{}", Text("{}")),
    ],
)  # fmt: skip
def test_an_answer_is_read_by_the_rule_that_the_help_states(text: str, answer: Answer) -> None:
    """Labels with and without scores, texts, JSON of any of them; a number that is part of a name stays there."""
    assert first(text).answer == answer


def test_a_label_may_have_a_box() -> None:
    """As the store keeps it: name, score (or null), and left, top, right and bottom in shares of the photo."""
    answer = Labels((Label("cat", 0.5, Box.of(0, 0.25, 0.5, 1)), Label("dog", None, Box.of(0, 0, 1, 1))))

    assert first('[["cat", 0.5, [0, 0.25, 0.5, 1]], ["dog", null, [0, 0, 1, 1]]]').answer == answer
    assert first(codec.pack(answer).decode()).answer == answer
    assert first('[["cat", 0.5, [0, 0.25, 0.5, 2]]]').answer != answer  # nothing beyond the photo


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("0.5, 0.25, 0.25", "probabilities", [0.5, 0.25, 0.25]),
        ("50% 25% 25%", "probabilities", [0.5, 0.25, 0.25]),
        ("[0.5, 0.25, 0.25]", "probabilities", [0.5, 0.25, 0.25]),
        ("[1.5, -2, 0]", "scores", [1.5, -2, 0]),
        ("3 4 -5", "scores", [3, 4, -5]),
        (codec.pack(Vector(np.array([0.5, 0.25, 0.25]))).decode(), "probabilities", [0.5, 0.25, 0.25]),
    ],
)
def test_numbers_have_one_for_each_class(text: str, kind: str, values: list[float]) -> None:
    """They are probabilities where they can be, else scores; the classes are those that are given."""
    found = first(text, classes=PETS)

    assert isinstance(found.answer, Vector)
    assert (found.kind, found.answer.values.tolist(), found.classes) == (kind, values, PETS)


def test_a_kind_that_is_named_decides() -> None:
    """The same words are labels, a text or probabilities of the classes that they name, in the order named."""
    words = "dog 0.25, cat 0.75"

    vector = first(words, "probabilities")

    assert first(words, "labels").answer == labels(("cat", 0.75), ("dog", 0.25))
    assert first(words, "text").answer == Text(words)
    assert isinstance(vector.answer, Vector)
    assert vector.answer.values.tolist() == [0.25, 0.75]
    assert vector.classes == Classes((("dog",), ("cat",)))


def test_all_readings_are_given_the_likeliest_first() -> None:
    """What is one word or a sentence may still be the other."""
    assert [typed.kind for typed in readings("cat", None, None)] == ["labels", "text"]
    assert [typed.kind for typed in readings("It is a cat.", None, None)] == ["text", "labels"]


def test_no_answer_is_no_answer_of_any_kind() -> None:
    """A refusal as the store keeps it can be typed for a score of any kind."""
    refused = codec.pack(NoAnswer("blocked", "filtered")).decode()

    kinds: list[AnswerKind] = ["probabilities", "scores", "labels", "text"]
    assert [first(refused, kind).answer for kind in kinds] == [NoAnswer("blocked", "filtered")] * 4


def test_a_files_name_stands_for_what_is_in_it(tmp_path: Path) -> None:
    """Long answers need not be typed."""
    (tmp_path / "answer.json").write_text(json.dumps({"cat": 0.5}) + "\n")

    assert first(str(tmp_path / "answer.json")).answer == labels(("cat", 0.5))


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "."])
def test_what_no_file_can_be_called_is_an_answer(text: str) -> None:
    """A text may be longer than any name, or hold what no name may; a folder is none either."""
    assert first(text, "text").answer == Text(text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A picture given by mistake is named."""
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\xff")

    with pytest.raises(UsageError, match=r"cat\.png': it is no text"):
        first(str(tmp_path / "cat.png"))


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("cat", "probabilities", "cannot be read as probabilities"),
        ("[2, 3, 4]", "probabilities", "cannot be read as probabilities"),
        ("[0.5, 0.5]", None, "2 numbers for 3 classes"),
        ('{"text": "x", "tokens": [1]}', None, "this JSON is no answer"),
        ('{"f4": "AAA"}', None, "this JSON is no answer"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(text: str, kind: AnswerKind | None, said: str) -> None:
    """The message says what it is not, or what does not fit."""
    with pytest.raises(UsageError, match=said):
        readings(text, kind, PETS)
