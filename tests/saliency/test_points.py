"""Several points in one plan: how queries are split, what is asked at once, what a point's answers weigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import replay
from bbquery.saliency._points import Spread, advice, gradients, shares, with_queries
from bbquery.types import FLOAT, UINT8
from tests.support.known_gradients import Asked, Exact

SHAPE = (2, 3, 3)


def points(n: int) -> np.ndarray:
    """Return n different photos."""
    return np.random.default_rng(3).integers(0, 256, (n, *SHAPE)).astype(np.uint8)


counts = st.integers(1, 5000)


@given(queries=counts, most=counts, rows=counts)
def test_queries_are_split_evenly_and_completely(queries: int, most: int, rows: int) -> None:
    """No query is left over or added, points differ by one row at most, and none but a single one gets too few."""
    split = shares(queries, most, rows)

    assert sum(split) == queries
    assert max(split) - min(split) <= 1
    assert len(split) <= most
    assert len(split) == 1 or min(split) >= rows
    assert len(split) == most or (len(split) + 1) * rows > queries  # not one point more could be had


def test_an_estimator_keeps_its_options_but_its_queries() -> None:
    """A share is given to a copy; the estimator itself stays as it is."""
    estimator = LikelihoodRatio(queries=7, sigma=3.0)

    assert with_queries(estimator, 9) == LikelihoodRatio(queries=9, sigma=3.0)
    assert estimator.queries == 7


@dataclass(frozen=True)
class Fixed:
    """An estimator that asks what it likes."""

    adaptive: bool = False

    @property
    def queries(self) -> int:
        return 5

    plan = Exact.plan


def test_an_estimator_that_takes_no_share_is_refused() -> None:
    """Without an option `queries` there is no way to keep to a budget."""
    with pytest.raises(UsageError, match=r"Fixed\(adaptive=False\) must be a dataclass with the option queries"):
        with_queries(Fixed(), 5)


def test_a_class_is_no_estimator() -> None:
    """Who forgets the parentheses is told so before anything is asked."""
    with pytest.raises(UsageError, match=r"LikelihoodRatio.* must be a dataclass with the option queries"):
        with_queries(LikelihoodRatio, 5)  # type: ignore[arg-type] # that is the mistake


def test_points_are_asked_in_barriers_that_keep_a_client_busy() -> None:
    """Sixty points of ten rows are two barriers, not sixty: no fewer than 512 rows but in the last."""
    asked = Asked()
    taken: list[float] = []

    plan = gradients(
        Exact(slope=np.zeros_like), points(60), [10] * 60, domain=UINT8, seed=0, take=lambda g, w: taken.append(w)
    )
    answered = replay(plan, asked)

    assert [len(barrier) for barrier in asked.barriers] == [520, 80]
    assert (answered, taken) == (600, [1.0] * 60)
    assert np.array_equal(asked.points, points(60))


def test_so_many_points_are_not_begun_at_once_that_they_fill_the_memory() -> None:
    """An estimator at work holds images, so a barrier is of 64 points at most, however few rows they want."""
    asked = Asked()

    plan = gradients(Exact(slope=np.zeros_like), points(150), [2] * 150, domain=UINT8, seed=0, take=lambda g, w: None)
    answered = replay(plan, asked)

    assert [len(barrier) for barrier in asked.barriers] == [128, 128, 44]
    assert answered == 300


def test_points_that_ask_in_steps_do_so_together() -> None:
    """The second batch of every point of a wave is asked in one barrier too."""
    asked = Asked()

    replay(
        gradients(
            Exact(slope=np.zeros_like, batch=6), points(4), [10] * 4, domain=UINT8, seed=0, take=lambda g, w: None
        ),
        asked,
    )

    assert [len(barrier) for barrier in asked.barriers] == [24, 16]


@pytest.mark.parametrize(
    ("stop_after", "weights"),
    [(0, []), (3, []), (4, [0.4]), (10, [1.0]), (13, [1.0]), (14, [1.0, 0.4]), (29, [1.0, 1.0, 0.9])],
)
def test_a_point_weighs_what_was_answered_of_it(stop_after: int, weights: list[float]) -> None:
    """The share of its rows; below four answers, which tell nothing of a value's variance, it is left out."""
    taken: list[float] = []

    answered = replay(
        gradients(
            Exact(slope=np.zeros_like), points(3), [10] * 3, domain=UINT8, seed=0, take=lambda g, w: taken.append(w)
        ),
        Asked(),
        stop_after=stop_after,
    )

    assert taken == weights
    assert answered == stop_after


def test_a_stop_ends_the_run_between_waves_too() -> None:
    """After a stop nothing more is asked, though there are points that have not been begun."""
    asked = Asked()

    plan = gradients(Exact(slope=np.zeros_like), points(60), [10] * 60, domain=UINT8, seed=0, take=lambda g, w: None)
    answered = replay(plan, asked, stop_after=300)

    assert answered == 300
    assert [len(barrier) for barrier in asked.barriers] == [300]


def test_a_point_that_wants_few_rows_is_complete_with_them() -> None:
    """A pair of opposite rows is enough for an estimator that is given no more."""
    taken: list[float] = []

    replay(
        gradients(
            Exact(slope=np.zeros_like), points(3), [2] * 3, domain=UINT8, seed=0, take=lambda g, w: taken.append(w)
        ),
        Asked(),
        stop_after=5,
    )

    assert taken == [1.0, 1.0]


def test_every_point_draws_its_own_noise() -> None:
    """Two points at the same place, or two seeds, ask different rows: their errors average out."""

    def noise(seed: int) -> np.ndarray:
        asked = Asked()
        same = np.repeat(points(1), 2, axis=0)
        estimator = LikelihoodRatio(sigma=5.0)
        replay(gradients(estimator, same, [3, 3], domain=FLOAT, seed=seed, take=lambda g, w: None), asked)
        return asked.points

    rows = np.concatenate([noise(0), noise(1)])
    assert len(np.unique(rows, axis=0)) == 12


weighed = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, (n, 2, 2), elements=st.floats(-1e3, 1e3)),
        arrays(np.float64, n, elements=st.floats(0.1, 1.0)),
    )
)


@given(weighed)
def test_running_sums_are_those_of_all_at_once(points: tuple[np.ndarray, np.ndarray]) -> None:
    """Mean and variance equal NumPy's weighted ones; for equal weights the divisor is n - 1."""
    values, weights = points
    found = Spread((2, 2))
    for value, weight in zip(values, weights, strict=True):
        found.add(value, float(weight))

    mean = np.average(values, axis=0, weights=weights)
    squares = np.average((values - mean) ** 2, axis=0, weights=weights)
    worth = weights.sum() ** 2 / (weights**2).sum()
    np.testing.assert_allclose(found.mean, mean, atol=1e-9)
    if len(values) == 1:
        assert not found.variance().any()
        assert found.standard_error() is None
    else:
        variance = squares * worth / (worth - 1)
        np.testing.assert_allclose(found.variance(), variance, rtol=1e-6, atol=1e-6)
        error = found.standard_error()
        assert error is not None
        np.testing.assert_allclose(error, np.sqrt(found.variance() / worth), rtol=1e-6)


def test_points_of_equal_weight_have_the_textbooks_standard_error() -> None:
    """It is the sample standard deviation over the root of their number."""
    values = np.random.default_rng(4).normal(size=(7, 2, 2))
    found = Spread((2, 2))
    for value in values:
        found.add(value, 1.0)

    np.testing.assert_allclose(found.variance(), values.var(axis=0, ddof=1), rtol=1e-12)
    error = found.standard_error()
    assert error is not None
    np.testing.assert_allclose(error, values.std(axis=0, ddof=1) / np.sqrt(7), rtol=1e-12)


def test_few_rows_at_a_point_are_said_to_be_few() -> None:
    """On pixels that are rounded a map says when its gradients rest on too little, and what to do."""
    (note,) = advice([10, 9], UINT8)

    assert note.startswith("each gradient rests on 9 rows")
    assert "rows=20" in note
    assert advice([10, 10], UINT8) == advice([2, 2], FLOAT) == ()
