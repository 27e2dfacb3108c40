"""The score that keeps the label alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.scoring.label import SameLabel
from bbquery.types import Classes, Decision, Label, Labels, Text, Vector
from tests.support.oracles import FakeOracle

CLASSES = Classes((("cat",), ("dog",)))


def test_only_the_top_counts_whatever_its_number() -> None:
    """Of numbers, lists and texts, 1 is left where the target is on top or mentioned, and 0 elsewhere."""
    vector = SameLabel().bind(Vector(np.array([0.9, 0.1])), None, CLASSES)
    labels = SameLabel().bind(Labels((Label("cat", 0.3), Label("dog", 0.2))), None, None)
    text = SameLabel().bind(Text("a cat"), "cat", None)

    assert vector.target == labels.target == text.target == "cat"
    assert vector([Vector(np.array([0.51, 0.49])), Vector(np.array([0.1, 0.2]))])[1].tolist() == [1.0, 0.0]
    assert labels([Labels((Label("dog", 0.9), Label("cat", 0.8))), Labels((Label("Cat"),))])[1].tolist() == [0.0, 1.0]
    assert text([Text("The CAT sat."), Text("concatenate")])[1].tolist() == [1.0, 0.0]
    assert vector.about.unit == "same label"
    assert (vector.about.low, vector.about.high, vector.about.no_information) == (0.0, 1.0, 0.0)


def test_what_is_undecided_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the score beneath cannot read an answer, the decision is undecided and the value NaN, and it says what."""
    bound = SameLabel().bind(Labels((Label("cat"),)), "cat", None)
    undecided = np.array([Decision.UNDECIDED, Decision.MET], np.int8), np.array([7.0, 7.0])
    monkeypatch.setattr(type(bound.of), "__call__", lambda *_: undecided)  # type: ignore[attr-defined] # of its own

    decisions, values = bound([Labels(()), Labels(())])

    assert decisions.tolist() == [Decision.UNDECIDED, Decision.MET]
    assert math.isnan(values[0])
    assert values[1] == 1.0
    assert bound.unread([Labels((Label("dog"),))]) == {}


def test_its_steps_end_with_what_is_kept() -> None:
    """`bbquery score` shows the other score's steps and then the number."""
    bound = SameLabel().bind(Labels((Label("cat", 0.4),)), None, None)

    assert bound.steps(Labels((Label("cat", 0.4),)))[-1] == "of that only the decision counts: 1"


def test_targets_are_checked_before_anything_is_asked() -> None:
    """A class that does not exist, and a text without a target, are usage errors."""
    with pytest.raises(UnknownName):
        load.score("label").check(FakeOracle().capabilities, ["zebra"])
    with pytest.raises(UsageError, match="name a target"):
        SameLabel().bind(Text("a cat"), None, None)
