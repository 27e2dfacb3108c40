"""Intervals: against printed tables, their own definition, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.jobs import intervals

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 19: 2.093, 49: 2.010, 200: 1.972}
CHI_SQUARE = {
    4: (0.484, 11.143),
    9: (2.700, 19.023),
    19: (8.907, 32.852),
    49: (31.555, 70.222),
    200: (162.728, 241.058),
}
"""As tables print them, by degrees of freedom: of t the 97.5th percentile, of chi-square 2.5th and 97.5th."""
STUDENT_95 = {1: 6.314, 2: 2.920, 3: 2.353, 5: 2.015, 9: 1.833, 49: 1.677}
"""Likewise, of t the 95th percentile."""


@pytest.mark.parametrize("free", STUDENT_95)
def test_students_percentile_of_a_narrower_interval_is_the_tables(free: int) -> None:
    """The 95th percentile of t is within 0.2 % of the printed one from 1 degree of freedom on."""
    assert intervals._student(free, intervals.Z_90) == pytest.approx(STUDENT_95[free], rel=2e-3)


def test_the_difference_of_shares_has_the_interval_that_newcombe_prints() -> None:
    """Newcombe (1998), table II: 56 of 70 less 48 of 80 is 0.2, from 0.0524 to 0.3339."""
    found = intervals.difference(intervals.rate(48, 80), intervals.rate(56, 70))

    assert found.value == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([0.0524, 0.3339], abs=5e-5)


@pytest.mark.parametrize("free", STUDENT)
def test_students_percentile_is_the_tables(free: int) -> None:
    """The 97.5th percentile of t is within 0.2 % of the printed one from 1 degree of freedom on."""
    assert intervals._student(free) == pytest.approx(STUDENT[free], rel=0.002)


@pytest.mark.parametrize("free", CHI_SQUARE)
def test_chi_squares_percentiles_are_the_tables(free: int) -> None:
    """The percentiles of chi-square are within 10 % of the printed ones from 4 degrees of freedom on, 2 % from 9 on."""
    found = tuple(intervals._chi_square(free, z) for z in (-intervals.Z, intervals.Z))

    assert found == pytest.approx(CHI_SQUARE[free], rel=0.02 if free >= 9 else 0.1)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_rates_interval_is_where_the_score_test_accepts(counts: tuple[int, int]) -> None:
    """At either end p of Wilson's interval the share lies 1.96 standard errors of p away, and the share lies inside."""
    hits, n = counts
    found = intervals.rate(hits, n)

    assert 0 <= found.low <= found.value <= found.high <= 1
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert abs(found.value - end) == pytest.approx(intervals.Z * (end * (1 - end) / n) ** 0.5, abs=1e-9)


def test_the_interval_of_a_deviation_holds_the_truth_95_times_in_100() -> None:
    """Of 2,000 samples of 10 normal values, 95 % of the intervals hold the true deviation, within simulation error."""
    samples = np.random.default_rng(0).normal(5, 3, (2000, 10))

    held = [e.low <= 3 <= e.high for e in map(intervals.deviation, samples)]

    assert 0.93 < np.mean(held) < 0.97


def test_the_interval_of_a_mean_holds_the_truth_95_times_in_100() -> None:
    """Likewise of the mean, of samples of 5."""
    samples = np.random.default_rng(1).normal(5, 3, (2000, 5))

    held = [e.low <= 5 <= e.high for e in map(intervals.mean, samples)]

    assert 0.93 < np.mean(held) < 0.97


def test_what_was_not_answered_does_not_count() -> None:
    """NaN is left out, and told apart from values by n."""
    values = np.array([1.0, np.nan, 3.0])

    mean, deviation = intervals.mean(values), intervals.deviation(values)
    assert mean.n == deviation.n == 2
    assert (mean.value, deviation.value) == pytest.approx((2.0, 2**0.5))


def test_too_few_observations_tell_nothing() -> None:
    """Without an observation there is no number, and from one no interval."""
    one, none = np.array([4.0]), np.array([np.nan])

    assert not any(e.known for e in (intervals.rate(0, 0), intervals.mean(none), intervals.deviation(one)))
    assert intervals.mean(one).value == 4.0
    assert np.isnan(intervals.mean(one).low)


def test_equal_values_have_no_deviation() -> None:
    """Ten times 0.1 differ by nothing, whatever their mean rounds to."""
    assert intervals.deviation(np.full(10, 0.1)) == intervals.Estimate(0.0, 0.0, 0.0, 10)


def _between(values: list[float], least: float, most: float) -> intervals.Estimate:
    return intervals.mean_between(np.array(values), (least, most))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_the_interval_of_a_bounded_mean_stays_within_its_bounds(values: list[float]) -> None:
    """No interval leaves the range in which the truth must lie, and each holds the mean itself."""
    found = _between(values, -1, 1)

    rounding = 1e-9
    assert -1 - rounding <= found.low <= found.value + rounding
    assert found.value - rounding <= found.high <= 1 + rounding


@pytest.mark.parametrize(("a", "b"), [(2, 2), (5, 1), (20, 1), (30, 20)])
@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_interval_of_a_bounded_mean_holds_the_truth_from_few_values(a: float, b: float, n: int) -> None:
    """Of samples of 2 to 10, however skewed (beta distributions), at least 92 % of the intervals hold the truth."""
    samples = np.random.default_rng(n).beta(a, b, (4000, n))

    held = [e.low <= a / (a + b) <= e.high for e in (intervals.mean_between(each, (0, 1)) for each in samples)]

    assert 0.92 < np.mean(held) < 0.965


def test_equal_values_at_a_bound_are_no_certainty() -> None:
    """Three values of 1 have the interval of three hits of three, and two of 0.3 one that is wider than nothing."""
    assert _between([1, 1, 1], 0, 1) == intervals.rate(3, 3)
    equal = _between([0.3, 0.3], 0, 1)
    assert (equal.low < 0.2, equal.high > 0.5) == (True, True)


def test_without_bounds_or_a_second_value_the_interval_of_a_mean_is_students() -> None:
    """What has no bounds keeps Student's interval, and one value has none."""
    values = np.array([0.1, 0.4, np.nan, 7.0])

    assert intervals.mean_between(values, intervals.UNBOUNDED) == intervals.mean(values)
    assert np.isnan(_between([0.9], -1, 1).low)
