"""How repeats of one question become one row of scores."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.scoring.base import score_rows
from bbquery.types import Answer, Decision, NoAnswer, Text, Vector

NONE = NoAnswer("filtered")


@dataclass(frozen=True)
class Above:
    """Met above a half; the value is the number itself."""

    target: str = "above"
    unit: str = "number"

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        assert isinstance(answer, Vector)
        value = float(answer.values[0])
        return (Decision.MET if value > 0.5 else Decision.NOT_MET), value


def number(value: float) -> Answer:
    return Vector(np.array([value]))


answers = st.none() | st.just(NONE) | st.floats(0, 1, width=16).map(number)


@pytest.mark.parametrize(
    ("repeats", "decision", "value", "spread", "answered"),
    [
        ([number(0.75)], Decision.MET, 0.75, np.nan, 1),
        ([number(0.25)], Decision.NOT_MET, 0.25, np.nan, 1),
        ([number(1.0), number(1.0), number(0.0)], Decision.MET, 2 / 3, 3**-0.5, 3),
        ([number(1.0), number(0.0), number(0.0)], Decision.NOT_MET, 1 / 3, 3**-0.5, 3),
        ([number(1.0), number(0.0)], Decision.UNDECIDED, 0.5, 2**-0.5, 2),
        ([number(1.0), NONE, NONE], Decision.MET, 1.0, np.nan, 1),
        ([number(1.0), None, number(1.0)], Decision.MET, 1.0, 0.0, 2),
        ([NONE], Decision.UNDECIDED, np.nan, np.nan, 0),
        ([None], Decision.UNDECIDED, np.nan, np.nan, 0),
        ([None, NONE], Decision.UNDECIDED, np.nan, np.nan, 0),
    ],
)
def test_a_row_is_the_majority_and_the_mean_of_its_answers(
    repeats: list[Answer | None], decision: Decision, value: float, spread: float, answered: int
) -> None:
    """Refused or unasked repeats count for nothing: neither for a side, nor as 0; a tie is undecided."""
    scores = score_rows(Above(), [repeats])

    assert scores.decision.tolist() == [decision]
    np.testing.assert_allclose([scores.value[0], scores.spread[0]], [value, spread], rtol=1e-12)
    assert scores.answers.tolist() == [answered]


@given(st.lists(st.lists(answers, min_size=1, max_size=5), max_size=5))
def test_rows_are_scored_each_for_itself(rows: list[list[Answer | None]]) -> None:
    """However many repeats other rows have, a row's mean, deviation and votes are those of its own answers."""
    scores = score_rows(Above(), rows)

    assert len(scores) == len(rows)
    for i, row in enumerate(rows):
        values = [float(answer.values[0]) for answer in row if isinstance(answer, Vector)]
        votes = sum(1 if value > 0.5 else -1 for value in values)
        mean = statistics.fmean(values) if values else np.nan
        spread = statistics.stdev(values) if len(values) > 1 else np.nan
        np.testing.assert_allclose([scores.value[i], scores.spread[i]], [mean, spread], rtol=1e-12, atol=1e-15)
        assert scores.answers[i] == len(values)
        assert scores.met[i] == (votes > 0)
        assert scores.undecided[i] == (votes == 0)


def test_no_rows_are_no_scores() -> None:
    """An empty question has empty scores of the right types."""
    scores = score_rows(Above(), [])

    assert [array.dtype for array in (scores.decision, scores.value, scores.spread, scores.answers)] == [
        np.int8,
        np.float64,
        np.float64,
        np.int64,
    ]
    assert len(scores) == 0


def test_undecided_answers_keep_their_value() -> None:
    """A score that decides nothing still measures."""

    class Measures(Above):
        def __call__(self, answer: Answer) -> tuple[Decision, float]:
            return Decision.UNDECIDED, 0.25

    scores = score_rows(Measures(), [[Text("x"), Text("y")]])

    assert (scores.value[0], scores.answers[0], bool(scores.undecided[0])) == (0.25, 2, True)
