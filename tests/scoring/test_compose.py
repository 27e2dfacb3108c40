"""Several scores as one: weights, scales, clipping, decisions."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring.base import About, score_rows
from bbquery.scoring.compose import SCORE, Compose
from bbquery.scoring.soft import Soft
from bbquery.types import Answer, Classes, Decision, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.base import BoundScore

CLEAN = Vector(np.array([0.5, 0.5]))
MET, NOT_MET, UNDECIDED = Decision.MET, Decision.NOT_MET, Decision.UNDECIDED


@dataclass(frozen=True, kw_only=True)
class Number:
    """The number at a place of the answer; met from 1, unread where it is NaN."""

    place: int = 0
    low: float = 0.0
    high: float = 1.0
    direction: Any = "higher"
    nothing: float = 0.0

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        if capabilities.answers == "text":
            raise UsageError("no text")

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        return BoundNumber(of=self, target=target or f"number {self.place}")


@dataclass(frozen=True)
class BoundNumber:
    of: Number
    target: str

    @property
    def about(self) -> About:
        return About(
            unit=f"number {self.of.place}",
            direction=self.of.direction,
            low=self.of.low,
            high=self.of.high,
            criterion=f"number {self.of.place} is 1",
            no_information=self.of.nothing,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        values = np.array([answer.values[self.of.place] for answer in answers if isinstance(answer, Vector)])
        decisions = np.where(np.isnan(values), UNDECIDED, np.where(values >= 1, MET, NOT_MET))
        return decisions.astype(np.int8), values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        return Counter(f"{self.of.place}" for value in self(answers)[1] if np.isnan(value))

    def steps(self, answer: Answer) -> list[str]:
        return ["look"]


def composed(*of: Number, **options: Any) -> BoundScore:
    return Compose(of=of, **options).bind(CLEAN, None, None)


def value(score: BoundScore, *numbers: float) -> float:
    return float(score([Vector(np.array(numbers))])[1][0])


FIRST, SECOND = Number(place=0), Number(place=1)
DISTANCE = Number(place=1, low=0, high=20, direction="lower", nothing=20)
SIGNED = Number(place=0, low=-1, high=1)


def test_the_module_names_its_score() -> None:
    """`load` finds the score under SCORE, and equal configurations are equal."""
    assert SCORE(of=(Soft(),)) == Compose(of=(Soft(),), weights=(1.0,))


@pytest.mark.parametrize(
    ("score", "numbers", "expected"),
    [
        (composed(FIRST, SECOND), (1, 0.5), 0.75),
        (composed(FIRST, SECOND, weights=(0.75, 0.25)), (1, 0.5), 0.875),
        (composed(FIRST, SECOND, weights=(2, 0)), (0.5, 0.9), 1.0),
        (composed(SIGNED, SECOND), (-1, 1), 0.5),
        (composed(SIGNED), (0,), 0.5),
        (composed(FIRST, DISTANCE), (1, 5), 0.875),
        (composed(DISTANCE), (9, 20), 0.0),
        (composed(SIGNED, DISTANCE, weights=(1, 1), scale="none"), (-1, 5), -6.0),
        (composed(SIGNED, scale="none", low=-0.5, high=0.25), (-1,), -0.5),
        (composed(SIGNED, scale="none", low=-0.5, high=0.25), (1,), 0.25),
        (composed(SIGNED, scale="none", low=-0.5), (1,), 1.0),
        (composed(SIGNED, scale="none", low=-0.5, high=0.5, stretch=True), (0.25,), 0.75),
        (composed(SIGNED, scale="none", low=-0.5, high=0.5, stretch=True), (0.75,), 1.0),
    ],
)
def test_scores_are_scaled_weighted_summed_and_clipped(
    score: BoundScore, numbers: tuple[float, ...], expected: float
) -> None:
    """Each step is the arithmetic that the module states, and what is better when lower is turned round."""
    assert value(score, *numbers) == pytest.approx(expected, abs=1e-15)


@given(st.tuples(st.floats(-1, 1), st.floats(0, 20)), st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)))
def test_a_composition_declares_its_own_range(numbers: tuple[float, float], weights: tuple[float, float]) -> None:
    """Whatever is scaled by its declared range lies between 0 and the sum of the weights."""
    score = composed(SIGNED, DISTANCE, weights=weights)

    assert [score.about.low, score.about.high] == pytest.approx([0, sum(weights)])
    assert -1e-12 <= value(score, *numbers) <= sum(weights) + 1e-12


@pytest.mark.parametrize(
    ("score", "low", "high", "nothing"),
    [
        (composed(FIRST, DISTANCE), 0, 1, 0),
        (composed(SIGNED, DISTANCE, weights=(1, 1), scale="none"), -21, 1, -20),
        (composed(SIGNED, scale="none", low=-0.5, high=0.25), -0.5, 0.25, 0),
        (composed(SIGNED, scale="none", low=-0.5, high=0.5, stretch=True), 0, 1, 0.5),
        (composed(Number(nothing=math.nan), SECOND), 0, 1, math.nan),
        (composed(Number(high=math.inf), SECOND, scale="none"), 0, math.inf, 0),
        (composed(Number(high=math.inf), SECOND, scale="none", weights=(0, 1)), 0, 1, 0),
    ],
)
def test_what_a_composition_says_of_itself_follows_from_its_parts(
    score: BoundScore, low: float, high: float, nothing: float
) -> None:
    """Range and "no information" go through the same arithmetic as values; higher is always nearer."""
    about = score.about

    assert about.direction == "higher"
    np.testing.assert_allclose([about.low, about.high, about.no_information], [low, high, nothing], atol=1e-15)
    assert "number" in about.unit


@pytest.mark.parametrize(
    ("met", "decisions"),
    [
        ("first", [MET, MET, MET, NOT_MET, NOT_MET, UNDECIDED, UNDECIDED, UNDECIDED]),
        ("all", [MET, NOT_MET, UNDECIDED, NOT_MET, NOT_MET, UNDECIDED, NOT_MET, UNDECIDED]),
        ("any", [MET, MET, MET, MET, NOT_MET, MET, UNDECIDED, UNDECIDED]),
    ],
)
def test_the_criterion_is_the_firsts_or_that_of_all_or_of_any(met: str, decisions: list[Decision]) -> None:
    """What one score settles is settled, whatever another could not read."""
    none = math.nan
    pairs = [(1, 1), (1, 0), (1, none), (0, 1), (0, 0), (none, 1), (none, 0), (none, none)]

    found, _ = composed(FIRST, SECOND, met=met)([Vector(np.array(pair)) for pair in pairs])

    assert found.tolist() == decisions


@pytest.mark.parametrize(
    ("met", "said"), [("first", "number 0 is 1"), ("all", "number 0 is 1 and"), ("any", "number 0 is 1 or")]
)
def test_its_criterion_is_told(met: str, said: str) -> None:
    """The words name the scores that decide."""
    assert composed(FIRST, SECOND, met=met).about.criterion.startswith(said)


def test_what_one_cannot_read_none_can() -> None:
    """The sum is NaN where a part is, and says what was not read, once."""
    score = composed(FIRST, FIRST, SECOND)
    answers: list[Answer] = [Vector(np.array([math.nan, 0.5])), Vector(np.array([0.5, 0.5]))]

    assert np.isnan(score(answers)[1]).tolist() == [True, False]
    assert score.unread(answers) == {"0": 1}


def test_repeats_of_a_question_have_a_mean_and_a_spread() -> None:
    """Folding repeats is the same for every score: the composition's values, not its parts', are averaged."""
    rows: list[list[Answer | None]] = [
        [Vector(np.array([x, 1.0])) for x in (0.0, 0.5, 1.0)],
        [None, Vector(np.array([1.0, 0.0]))],
    ]

    scores = score_rows(composed(FIRST, SECOND), rows)

    assert scores.value.tolist() == [0.75, 0.5]
    np.testing.assert_allclose(scores.spread, [0.25, np.nan])
    assert scores.answers.tolist() == [3, 1]


def test_without_a_target_each_score_takes_the_clean_answers_own() -> None:
    """The class on top is bound by its place, whatever it is called: two classes may have one name."""
    cranes = Classes((("crane",), ("crane",)))
    bound = Compose(of=(Soft(), Soft(form="margin"))).bind(Vector(np.array([0.2, 0.8])), None, cranes)

    assert bound.target == "crane"
    assert value(bound, 0.25, 0.75) == pytest.approx((0.75 + (0.5 + 1) / 2) / 2)


def test_its_steps_are_those_of_its_parts_and_the_sum() -> None:
    """Every number on the way can be followed."""
    score = composed(SIGNED, DISTANCE, weights=(0.5, 0.25), low=0, high=0.5, stretch=True)

    told = "\n".join(score.steps(Vector(np.array([0.5, 5.0]))))

    expected = ["look", "scale 0.75", "0.5 × 0.75 + 0.25 × 0.75 = 0.5625", "clipped to 0 to 0.5", "counts 1: 1"]
    assert [words for words in expected if words not in told] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"of": ()}, "needs a score"),
        ({"of": (FIRST,), "weights": (0.5, 0.5)}, "2 weights for 1 scores"),
        ({"of": (FIRST,), "weights": (-1.0,)}, "not all 0"),
        ({"of": (FIRST,), "weights": (0.0,)}, "not all 0"),
        ({"of": (FIRST,), "weights": (math.nan,)}, "not all 0"),
        ({"of": (FIRST,), "low": 1.0, "high": 1.0}, "low must be below high"),
        ({"of": (FIRST,), "low": math.nan}, "low must be below high"),
        ({"of": (FIRST,), "low": 0.0, "stretch": True}, "give both"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_made(options: dict[str, Any], said: str) -> None:
    """Weights, bounds and scores are checked before anything is asked."""
    with pytest.raises(UsageError, match=said):
        Compose(**options)


def test_a_range_without_an_end_has_no_scale() -> None:
    """The message names the score and the way out."""
    with pytest.raises(UsageError, match=r"number 0 has no bounds.*scale=none"):
        composed(Number(high=math.inf), SECOND)


def test_every_part_checks_the_oracle() -> None:
    """A composition can score what all its parts can."""
    with pytest.raises(UsageError, match="no text"):
        Compose(of=(Soft(), FIRST)).check(Capabilities(name="x", answers="text", identity={}), [])
