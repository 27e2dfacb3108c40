"""The score whose criterion is a number to be reached, for targets that do not exclude each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UsageError
from bbquery.scoring import criteria
from bbquery.scoring.threshold import Threshold
from bbquery.types import Classes, Decision, Label, Labels, Vector

UNSAFE = Labels((Label("racy", 1.0), Label("adult", 0.75), Label("violence", 0.0), Label("spoof")))
MET, NOT_MET, UNDECIDED = Decision.MET, Decision.NOT_MET, Decision.UNDECIDED


@pytest.mark.parametrize(
    ("target", "least", "decision", "value"),
    [
        ("adult", 0.5, MET, 0.75),
        ("adult", 0.75, MET, 0.75),
        ("adult", 0.76, NOT_MET, 0.75),
        ("violence", 0.5, NOT_MET, 0.0),
        ("violence+adult", 0.5, MET, 0.75),
        ("spoof", 0.5, UNDECIDED, math.nan),  # listed without a score
        ("medical", 0.5, NOT_MET, 0.0),  # not listed
    ],
)
def test_the_number_decides_whatever_is_on_top(target: str, least: float, decision: int, value: float) -> None:
    """From `least` on the criterion is met; the value is that of the score `soft`."""
    decisions, values = Threshold(least=least).bind(UNSAFE, target, None)([UNSAFE])

    assert decisions[0] == decision
    assert np.array_equal(values, [value], equal_nan=True)


def test_numbers_of_classes_are_read_too() -> None:
    """As of a model of many labels, whose numbers do not add up to 1."""
    classes = Classes((("violence",), ("hate",)))

    bound = Threshold().bind(Vector(np.array([0.6, 0.9])), "violence", classes)

    assert bound([Vector(np.array([0.6, 0.9])), Vector(np.array([0.4, 0.1]))])[0].tolist() == [MET, NOT_MET]
    assert bound.about.criterion == "score of the class at least 0.5"
    assert bound.steps(Vector(np.array([0.6, 0.9])))[-1] == "met from 0.5 on"


@pytest.mark.parametrize("least", ["nan", "inf"])
def test_a_threshold_that_is_no_number_is_refused(least: str) -> None:
    """Nothing would ever reach it."""
    with pytest.raises(UsageError, match="least must be a finite number"):
        load.score(f"threshold:least={least}")


def test_an_attack_ends_below_the_threshold_and_not_before() -> None:
    """By s1 and s2: another label on top loses nothing, and an answer that names nothing is below."""
    score = Threshold().bind(UNSAFE, "adult", None)
    below = Labels((Label("racy", 1.0), Label("adult", 0.25)))

    for judged in (criteria.first_label(score), criteria.clean_labels(score, UNSAFE)):
        assert judged([UNSAFE, below, Labels(())])[0].tolist() == [MET, NOT_MET, NOT_MET]
