"""Statistics of attacks over photos, held against SciPy and against what is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bbquery.jobs.attack import statistics
from bbquery.jobs.chance import holm

INFINITE = math.inf


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 0), (0, 6), (3, 9), (7, 7), (40, 22)])
def test_the_sign_test_is_the_exact_binomial_one(one: int, other: int) -> None:
    """McNemar's exact test and the sign test are two-sided, as SciPy computes them; no photos show nothing."""
    expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0

    assert statistics.sign_test(one, other) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [6, 7, 9, 12, 25, 60])
def test_the_medians_interval_is_of_order_statistics(n: int) -> None:
    """The narrowest symmetric pair of order statistics that covers 95 %, by the binomial distribution."""
    distances = list(np.random.default_rng(n).permutation(n) + 1.0)

    found = statistics.median(distances)

    outside = int(stats.binom.ppf(0.025, n, 0.5))
    expected = outside if stats.binom.cdf(outside, n, 0.5) <= 0.025 else outside - 1
    assert found.value == np.median(distances)
    assert (found.low, found.high, found.n) == (expected + 1, n - expected, n)


def test_the_medians_interval_holds_the_truth_often_enough() -> None:
    """Of 400 samples of nine skewed distances, in 95 % or more the interval holds the true median."""
    rng = np.random.default_rng(0)

    found = [statistics.median(list(rng.lognormal(0, 2, 9))) for _ in range(400)]

    assert np.mean([each.low <= 1.0 <= each.high for each in found]) > 0.94


@pytest.mark.parametrize(
    ("distances", "value", "high"),
    [
        ([0.1, 0.2, INFINITE, 0.3, 0.4, 0.5, 0.6], 0.4, INFINITE),
        ([0.1, INFINITE, INFINITE, 0.2, INFINITE, INFINITE], INFINITE, INFINITE),
        ([0.1, INFINITE], INFINITE, math.nan),
    ],
)
def test_failures_are_infinite_in_medians(distances: list[float], value: float, high: float) -> None:
    """A failure raises the median like any larger distance, and an interval may end in it."""
    found = statistics.median(distances)

    assert found.value == value
    assert found.high == pytest.approx(high, nan_ok=True)


@pytest.mark.parametrize("n", range(6))
def test_few_photos_have_no_interval(n: int) -> None:
    """However much alike five photos are, it may be chance: neither median nor ratio has an interval."""
    median = statistics.median([0.01] * n)
    ratio = statistics.ratio([0.01] * n, [0.02] * n, 0)

    assert math.isnan(median.low)
    assert math.isnan(ratio.low)
    assert statistics.sign_test(n, 0) > 0.05
    assert ratio.value == pytest.approx(0.5 if n else math.nan, nan_ok=True)


def test_the_ratio_is_a_geometric_mean_with_a_bootstrap_interval() -> None:
    """Its interval is SciPy's percentile bootstrap of the mean logarithm, within what resampling wavers."""
    rng = np.random.default_rng(3)
    one, other = rng.lognormal(-4, 0.8, 20), rng.lognormal(-3.5, 0.8, 20)
    logarithms = np.log(one / other)

    found = statistics.ratio(list(one), list(other), 7)

    ends = stats.bootstrap(
        (logarithms,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(stats.gmean(one / other))
    assert np.log([found.low, found.high]) == pytest.approx([ends.low, ends.high], abs=0.03)
    assert found == statistics.ratio(list(one), list(other), 7)
    assert found != statistics.ratio(list(one), list(other), 8)


def test_the_ratio_leaves_out_photos_on_which_one_failed() -> None:
    """Only where both are finite is there a ratio; its number of photos says how many those are."""
    found = statistics.ratio([1, 2, INFINITE, INFINITE, 0], [2, INFINITE, 3, INFINITE, 1], 0)

    assert found.value == pytest.approx(0.5)
    assert found.n == 1
    assert statistics.ratio([INFINITE], [1.0], 0).n == 0


def test_a_failure_is_the_farther() -> None:
    """A photo counts for the one that is nearer; equal distances, and two failures, count for neither."""
    assert statistics.nearer([1, 2, INFINITE, INFINITE, 5], [2, 2, 3, INFINITE, INFINITE]) == (2, 1)


def test_several_tests_are_held_to_more() -> None:
    """Holm's adjustment is SciPy's closed form: of m probabilities the smallest counts m times."""
    found = holm([0.04, 0.01, 0.03, 0.5])

    assert found == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([]) == []
