"""The numbers of the soft score's forms: closed forms, invariants, and ends that stay finite."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bbquery.scoring._forms import FLOOR, LIMIT, Form
from bbquery.scoring.soft import Soft
from bbquery.types import Label, Labels, Vector

FORMS: tuple[Form, ...] = get_args(Form)
weights = st.lists(st.integers(0, 1000), min_size=3, max_size=8).filter(lambda found: sum(found) > 0)
logits = st.lists(st.floats(-800, 800), min_size=3, max_size=8)


def distribution(parts: list[int]) -> Vector:
    return Vector(np.array(parts) / sum(parts))


def value(form: Form, answer: Vector, target: str, *, softmax: bool = False) -> float:
    """The value of an answer for a target of indices, bound to a distribution (or to logits)."""
    clean = Vector(np.full(len(answer.values), 1 / len(answer.values)))
    bound = Soft(form=form, softmax=softmax).bind(clean, target, None)
    return float(bound([answer])[1][0])


@pytest.mark.parametrize(
    ("form", "target", "expected"),
    [
        ("probability", "0", 0.5),
        ("probability", "1+2", 0.5),
        ("log_odds", "0", 0.0),
        ("log_odds", "1", -math.log(3)),
        ("log_odds", "0+1", math.log(3)),
        ("cross_entropy", "0", math.log(2)),
        ("cross_entropy", "1", math.log(4)),
        ("cross_entropy", "0+1", math.log(4 / 3)),
        ("margin", "0", 0.25),
        ("margin", "1", -0.25),
        ("margin", "0+1", 0.25),
        ("margin", "1+2", -0.25),
    ],
)
def test_of_a_half_and_two_quarters_every_form_is_known(form: Form, target: str, expected: float) -> None:
    """The four forms are what they are called, of a class and of a set."""
    assert value(form, Vector(np.array([0.5, 0.25, 0.25])), target) == pytest.approx(expected, abs=1e-15)


@given(logits)
def test_the_softmax_of_logits_is_the_textbooks(numbers: list[float]) -> None:
    """Log-odds, cross-entropy and probability of logits agree with sums of exponentials in exact fractions."""
    top = max(numbers)
    exact = [Fraction(math.exp(number - top)) for number in numbers]
    p = exact[0] / sum(exact)
    answer = Vector(np.array(numbers))

    assert value("probability", answer, "0", softmax=True) == pytest.approx(float(p), rel=1e-12, abs=1e-300)
    clipped, rest = max(float(p), FLOOR), max(float(1 - p), FLOOR)
    assert value("cross_entropy", answer, "0", softmax=True) == pytest.approx(-math.log(clipped), rel=1e-9, abs=1e-12)
    odds = math.log(clipped) - math.log(rest)
    assert value("log_odds", answer, "0", softmax=True) == pytest.approx(odds, rel=1e-9, abs=1e-9)


@given(weights)
def test_a_set_of_classes_has_the_sum_of_their_probabilities(parts: list[int]) -> None:
    """P(A or B) = P(A) + P(B), and the other forms of the set are those of that sum."""
    p = (parts[0] + parts[1]) / sum(parts)
    q = sum(parts[2:]) / sum(parts)
    answer = distribution(parts)

    assert value("probability", answer, "0+1") == pytest.approx(p, abs=1e-15)
    assert value("cross_entropy", answer, "0+1") == pytest.approx(-math.log(max(p, FLOOR)), abs=1e-12)
    odds = math.log(max(p, FLOOR)) - math.log(max(q, FLOOR))
    assert value("log_odds", answer, "0+1") == pytest.approx(odds, abs=1e-12)


@pytest.mark.parametrize("form", ["log_odds", "margin"])
@given(parts=weights)
def test_margin_and_log_odds_of_everything_else_are_the_negatives(form: Form, parts: list[int]) -> None:
    """What speaks for a set speaks as much against its complement."""
    rest = "+".join(str(i) for i in range(1, len(parts)))

    assert value(form, distribution(parts), "0") == -value(form, distribution(parts), rest)


@given(parts=weights)
def test_the_margin_is_above_0_where_the_target_is_on_top(parts: list[int]) -> None:
    """The sign of the margin is the decision, ties apart."""
    answer = distribution(parts)
    bound = Soft(form="margin").bind(distribution([1] * len(parts)), "1", None)

    (decision,), (margin,) = bound([answer])

    assume(margin)
    assert (margin > 0) == (decision == 1)


@pytest.mark.parametrize("form", FORMS)
@given(low=st.integers(0, 999), more=st.integers(1, 999))
def test_more_probability_is_nearer(form: Form, low: int, more: int) -> None:
    """Every form moves one way with the target's probability: the way that it declares."""
    assume(low + more <= 1000)
    steps = [Vector(np.array([n / 1000, 1 - n / 1000])) for n in (low, low + more)]
    bound = Soft(form=form).bind(Vector(np.array([0.5, 0.5])), "0", None)

    before, after = bound(steps)[1]

    assert (after > before) if bound.about.direction == "higher" else (after < before)


@pytest.mark.parametrize("form", FORMS)
@given(parts=weights)
def test_every_value_is_finite_and_within_the_declared_range(form: Form, parts: list[int]) -> None:
    """Certainty and impossibility have numbers too."""
    answer = distribution(parts)
    bound = Soft(form=form).bind(answer, "0", None)

    found = value(form, answer, "0")

    assert bound.about.low <= found <= bound.about.high
    assert math.isfinite(found)


@pytest.mark.parametrize(("form", "ends"), [("log_odds", (-LIMIT, LIMIT)), ("cross_entropy", (LIMIT, 0.0))])
def test_impossible_and_certain_have_the_ends_of_the_range(form: Form, ends: tuple[float, float]) -> None:
    """A share of 0 counts as the floor, and -ln of a share of 1 is 0."""
    found = [value(form, Vector(np.array([p, 1 - p, 0.0])), "0") for p in (0.0, 1.0)]

    assert found == list(ends)
    assert [math.copysign(1, end) for end in found] == [math.copysign(1, end) for end in ends]  # no -0
    assert pytest.approx(27.63, abs=0.01) == LIMIT


def test_rounding_leads_out_of_no_range() -> None:
    """A distribution in 16 bits may add up to a little more than 1: its entropy is 0, not less."""
    stray = Vector(np.array([1.0005, 0.0, 0.0]))

    assert value("cross_entropy", stray, "0") == 0
    assert value("log_odds", stray, "0") == LIMIT


@pytest.mark.parametrize(
    ("form", "expected"),
    [("probability", 0.4), ("log_odds", math.log(2 / 3)), ("cross_entropy", math.log(5 / 2)), ("margin", 0.0)],
)
def test_no_information_is_what_a_uniform_answer_scores(form: Form, expected: float) -> None:
    """Of five classes, none likelier than another, a set of two has two fifths."""
    uniform = distribution([1] * 5)
    bound = Soft(form=form).bind(uniform, "0+1", None)

    assert bound.about.no_information == pytest.approx(expected, abs=1e-15)
    assert bound.about.no_information == pytest.approx(value(form, uniform, "0+1"), abs=1e-15)


@pytest.mark.parametrize(
    ("form", "single", "both"),
    [
        ("probability", 0.6, 0.9),
        ("log_odds", math.log(0.6 / 0.4), math.log(0.9 / 0.1)),
        ("cross_entropy", -math.log(0.6), -math.log(0.9)),
        ("margin", -0.3, 0.1),
    ],
)
def test_numbers_that_stand_alone_do_not_add_up(form: Form, single: float, both: float) -> None:
    """Of labels that do not exclude each other a set has the best one's number, in a vector as in a list."""
    vector, listed = Vector(np.array([0.6, 0.9, 0.8])), Labels((Label("b", 0.9), Label("c", 0.8), Label("a", 0.6)))
    of_vector = [Soft(form=form).bind(vector, target, None) for target in ("0", "0+1")]
    of_labels = [Soft(form=form).bind(listed, target, None) for target in ("a", "a+b")]

    expected = pytest.approx([single, both], abs=1e-12)
    assert [float(bound([vector])[1][0]) for bound in of_vector] == expected
    assert [float(bound([listed])[1][0]) for bound in of_labels] == expected


def test_many_answers_are_scored_as_each_alone() -> None:
    """Answers are taken so many at a time that memory stays small; where the cuts lie changes nothing."""
    rng = np.random.default_rng(0)
    answers = [Vector(row) for row in rng.dirichlet(np.ones(4), 2500)]
    bound = Soft(form="log_odds").bind(answers[0], "2", None)

    decisions, values = bound(answers)

    alone = [bound([answer]) for answer in answers]
    assert np.array_equal(decisions, np.concatenate([d for d, _ in alone]))
    assert np.array_equal(values, np.concatenate([v for _, v in alone]))
    assert [decisions.dtype, values.dtype] == [np.dtype(np.int8), np.dtype(np.float64)]
