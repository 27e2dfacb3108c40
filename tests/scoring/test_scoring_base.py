"""How repeats of one question become one row of scores."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.scoring.base import About, nearer_is_higher, score_rows
from bbquery.types import Answer, Decision, NoAnswer, Text, Vector
from tests.support.scores import EachAlone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NONE = NoAnswer("filtered")


@dataclass(frozen=True)
class Above(EachAlone):
    """Met above a half; the value is the number itself."""

    target: str = "above"

    def one(self, answer: Answer) -> tuple[Decision, float]:
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
        def one(self, answer: Answer) -> tuple[Decision, float]:
            return Decision.UNDECIDED, 0.25

    scores = score_rows(Measures(), [[Text("x"), Text("y")]])

    assert (scores.value[0], scores.answers[0], bool(scores.undecided[0])) == (0.25, 2, True)


def test_a_score_is_called_once_and_not_with_what_is_no_answer() -> None:
    """All rows go to the score together, so that it can work on many answers at once."""
    calls: list[int] = []

    class Counting(Above):
        def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
            calls.append(len(answers))
            return super().__call__(answers)

    scores = score_rows(Counting(), [[number(0.25), None], [NONE], [], [number(0.75)]])

    assert calls == [2]
    assert scores.answers.tolist() == [1, 0, 0, 1]


def test_what_a_score_could_not_read_is_undecided_and_no_answer() -> None:
    """NaN from a score counts for nothing, among repeats too."""

    class Unreadable(Above):
        def one(self, answer: Answer) -> tuple[Decision, float]:
            return (Decision.UNDECIDED, np.nan) if isinstance(answer, Text) else super().one(answer)

    scores = score_rows(Unreadable(), [[Text("?")], [Text("?"), number(0.75)]])

    assert scores.decision.tolist() == [Decision.UNDECIDED, Decision.MET]
    np.testing.assert_array_equal(scores.value, [np.nan, 0.75])
    assert scores.answers.tolist() == [0, 1]


def test_folding_is_not_what_a_run_waits_for() -> None:
    """30,000 answers in threes take well below a second of this process, whoever else is busy."""
    rows = [[number(0.25), number(0.5), number(0.75)]] * 10_000
    began = time.process_time()

    scores = score_rows(Above(), rows)

    assert time.process_time() - began < 1
    assert scores.value.tolist() == [0.5] * 10_000


@dataclass(frozen=True)
class Distance(Above):
    """1 less the number: lower is nearer."""

    @property
    def about(self) -> About:
        return About(unit="steps", direction="lower", low=0, high=4, criterion="near", no_information=3)

    def one(self, answer: Answer) -> tuple[Decision, float]:
        decision, value = super().one(answer)
        return decision, 1 - value

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        return Counter(["x"])

    def steps(self, answer: Answer) -> list[str]:
        return ["a step"]


def test_what_is_better_when_lower_is_turned_round() -> None:
    """Values and all that is declared of them change their sign; target, decisions and what is unread stay."""
    turned = nearer_is_higher(Distance())

    decisions, values = turned([number(0.75), number(0.0)])

    assert (decisions.tolist(), values.tolist()) == ([Decision.MET, Decision.NOT_MET], [-0.25, -1])
    assert turned.about == About(
        unit="negative steps", direction="higher", low=-4, high=0, criterion="near", no_information=-3
    )
    assert (turned.target, turned.unread([]), len(turned.steps(NONE))) == ("above", {"x": 1}, 2)


def test_what_is_better_when_higher_stays_as_it_is() -> None:
    """There is nothing to turn round."""
    score = Above()

    assert nearer_is_higher(score) is score
