from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Domain, Image

    Score = Callable[[Image], float]

SHAPE = (4, 4, 3)
SIZE = 48
PHOTO = np.random.default_rng(5).integers(0, 256, SHAPE).astype(np.uint8)


def answer(score: Score) -> Callable[[Ask], Scores]:
    """Answer each row with the score of its image."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    return answers


def linear(a: NDArray[np.float64], b: float = 0.0) -> Score:
    return lambda image: b + float(np.vdot(a, image.astype(np.float64)))


def estimates(lr: LikelihoodRatio, score: Score, x: Image, domain: Domain, *, seeds: int) -> NDArray[np.float64]:
    """Return the gradients (seeds, values) of as many seeds."""
    return np.stack([replay(lr.plan(x, domain, seed), answer(score)).values.ravel() for seed in range(seeds)])


def test_the_error_on_a_linear_score_is_the_theorys_at_every_n() -> None:
    """For f = a·x the mean squared error is (d + 1)|a|² / (n - 1), so it falls as 1 / n, whatever sigma and b are.

    The centred estimate of value i is the sample covariance of f and zᵢ over σ²; for normal variables its variance is
    (var f var z + cov²) / (n - 1) / σ⁴ = (|a|² + aᵢ²) / (n - 1), to be summed over the d values.
    """
    a = np.random.default_rng(1).normal(size=SHAPE)
    rows = [30, 120, 480]

    errors = [
        ((estimates(LikelihoodRatio(queries=n, sigma=7.0), linear(a, 50.0), PHOTO, FLOAT, seeds=30) - a.ravel()) ** 2)
        .sum(axis=1)
        .mean()
        for n in rows
    ]

    theory = [(SIZE + 1) * (a**2).sum() / (n - 1) for n in rows]
    ratios = np.divide(errors, theory)
    # 30 seeds × 48 values leave a relative deviation of about sqrt(2 / 1440) = 4 %
    assert np.all((ratios > 0.8) & (ratios < 1.2)), ratios
    slope = np.polyfit(np.log(rows), np.log(errors), 1)[0]
    assert -1.1 < slope < -0.9


def test_a_value_that_carries_all_of_the_slope_has_twice_the_variance() -> None:
    """For f = x₀ the variance is 2 / (n - 1) in value 0 and 1 / (n - 1) in every other."""
    a = np.zeros(SHAPE)
    a[0, 0, 0] = 1.0
    n, seeds = 30, 400

    error = (estimates(LikelihoodRatio(queries=n), linear(a), PHOTO, FLOAT, seeds=seeds) - a.ravel()) ** 2

    scaled = error.mean(axis=0) * (n - 1)
    assert 1.6 < scaled[0] < 2.4  # relative deviation sqrt(2 / 400) = 7 %
    assert 0.97 < scaled[1:].mean() < 1.03  # sqrt(2 / (400 × 47)) = 1 %


def test_on_a_quadratic_score_the_expectation_is_the_gradient_with_the_known_variance() -> None:
    """For f = xᵀAx + b·x smoothing leaves the gradient g = 2Ax + b, and the variance has a closed form.

    With F = g·z + zᵀAz, the sample covariance of F and zᵢ has variance
    μ₂₂/n - (n - 2)μ₁₁²/(n(n - 1)) + μ₂₀μ₀₂/(n(n - 1)), where by Wick's theorem, in units of σ = 1,
    μ₁₁ = gᵢ, μ₂₀ = |g|² + 2|A|², μ₀₂ = 1 and μ₂₂ = |g|² + 2gᵢ² + 2|A|² + 8(A²)ᵢᵢ (Frobenius norms).
    """
    rng = np.random.default_rng(2)
    d, n, seeds, sigma = 12, 60, 300, 2.0
    A = rng.normal(size=(d, d)) / 20
    A += A.T
    b, x = rng.normal(size=d), rng.uniform(100, 150, (2, 2, 3))

    def quadratic(image: Image) -> float:
        v = image.ravel()
        return float(v @ A @ v + b @ v)

    found = estimates(LikelihoodRatio(queries=n, sigma=sigma), quadratic, x, FLOAT, seeds=seeds)

    g = 2 * A @ x.ravel() + b
    slope, curve = sigma * g, sigma**2 * A  # in units of σ = 1; the estimate is then covariance / σ
    total, frobenius = (slope**2).sum(), (curve**2).sum()
    mu22 = total + 2 * slope**2 + 2 * frobenius + 8 * np.diag(curve @ curve)
    mu20 = total + 2 * frobenius
    variance = (mu22 / n - (n - 2) / (n * (n - 1)) * slope**2 + mu20 / (n * (n - 1))) / sigma**2
    assert np.all(np.abs(found.mean(axis=0) - g) < 5 * np.sqrt(variance / seeds))
    ratio = ((found - g) ** 2).mean() / variance.mean()
    assert 0.85 < ratio < 1.15  # relative deviation about sqrt(2 / 3600) = 2.4 %, more for the heavy tails


def test_clipped_pixels_get_their_full_slope_where_the_intended_noise_finds_half() -> None:
    """On uint8 a linear score's slope is found without bias at 0, 128 and 255.

    Dividing the intended noise by σ² instead gives E[clip'(x + z)] = P(0 < x + z < 255) of it: ½ at 0 and at 255.
    """
    x = np.repeat(np.array([0, 128, 255], dtype=np.uint8), 4).reshape(2, 2, 3)
    a = np.random.default_rng(3).uniform(0.5, 1.5, x.shape)
    sigma, seeds = 16.0, 150

    found = estimates(LikelihoodRatio(queries=100, sigma=sigma), linear(a, -300.0), x, UINT8, seeds=seeds)

    deviation = found.std(axis=0, ddof=1) / np.sqrt(seeds)
    assert np.all(np.abs(found.mean(axis=0) - a.ravel()) < 5 * deviation)
    naive = _intended_noise_over_intended_variance(x, a, sigma)
    factor = np.where(x == 128, 1.0, 0.5)
    np.testing.assert_allclose(naive / a, factor, atol=0.1)
    np.testing.assert_allclose(found.mean(axis=0).reshape(x.shape) / a, 1.0, atol=0.15)


def _intended_noise_over_intended_variance(x: Image, a: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    z = sigma * np.random.default_rng(4).normal(size=(100_000, *x.shape))
    f = np.tensordot(UINT8.realise(x + z), a, axes=x.ndim)
    return np.asarray(np.tensordot(f - f.mean(), z, axes=1) / (len(z) * sigma**2))


def test_values_that_rounding_never_moves_have_no_gradient() -> None:
    """Where all copies are sent the same pixel nothing was learnt: 0, not a division by zero."""
    lr = LikelihoodRatio(queries=20, sigma=0.01)

    gradient = replay(lr.plan(PHOTO, UINT8, 0), answer(linear(np.ones(SHAPE))))

    np.testing.assert_array_equal(gradient.values, np.zeros(SHAPE))
    assert gradient.answered == 20


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_a_constant_in_the_score_changes_nothing(domain: Domain) -> None:
    """Adding 1000 to a score of size 1 leaves the gradient as it was, to rounding."""
    a = np.random.default_rng(1).normal(size=SHAPE) / 1000
    plan = LikelihoodRatio(queries=100).plan

    plain = replay(plan(PHOTO, domain, 0), answer(linear(a)))
    raised = replay(plan(PHOTO, domain, 0), answer(linear(a, 1e3)))

    np.testing.assert_allclose(raised.values, plain.values, atol=1e-10 * np.abs(plain.values).max())
    assert raised.mean_score - plain.mean_score == pytest.approx(1e3)


@given(
    stop_after=st.integers(0, 24),
    batch=st.integers(1, 25),
    refused=st.sets(st.integers(0, 22)),
    domain=st.sampled_from([UINT8, FLOAT]),
)
@settings(deadline=None, max_examples=60)
def test_stopped_anywhere_it_returns_the_estimate_of_exactly_the_answered_rows(
    stop_after: int, batch: int, refused: set[int], domain: Domain
) -> None:
    """Stopped at any query, refusals anywhere: the result is that of the answered rows as if no other had been asked.

    Checked against numpy's covariance of the images that were really sent.
    """
    sent: list[Image] = []

    def score(image: Image) -> float:
        sent.append(image.astype(np.float64) - PHOTO)
        return math.nan if len(sent) - 1 in refused else math.sin(float(image.sum()))

    lr = LikelihoodRatio(queries=23, sigma=9.0, batch=batch)
    gradient = replay(lr.plan(PHOTO, domain, 0), answer(score), stop_after=stop_after)

    kept = [i for i in range(min(stop_after, 23)) if i not in refused]
    z = np.array([sent[i] for i in kept]).reshape(-1, SIZE)
    f = np.array([math.sin(float((PHOTO + sent[i]).sum())) for i in kept])
    assert (gradient.rows, gradient.answered, len(sent)) == (23, len(kept), min(stop_after, 23))
    np.testing.assert_allclose(gradient.values.ravel(), _estimate(z, f, None if domain is UINT8 else 9.0), atol=1e-12)
    assert gradient.mean_score == pytest.approx(f.mean() if kept else math.nan, nan_ok=True)


def _estimate(z: NDArray[np.float64], f: NDArray[np.float64], sigma: float | None) -> NDArray[np.float64]:
    if len(f) < 2:
        return np.zeros(SIZE)
    moments = np.cov(np.column_stack([f, z]), rowvar=False)
    variance = np.diag(moments)[1:] if sigma is None else np.full(SIZE, sigma**2)
    return np.array([c / v if v > 0 else 0.0 for c, v in zip(moments[0, 1:], variance, strict=True)])


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(domain: Domain) -> None:
    """A plan is a function of its arguments, its seed and the scores."""
    score = answer(linear(np.random.default_rng(1).normal(size=SHAPE)))
    plan = LikelihoodRatio(queries=40, batch=16).plan

    first, again, other = (replay(plan(PHOTO, domain, seed), score).values for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_memory_does_not_grow_with_queries() -> None:
    """Sixteen times the copies take no more memory at their peak than one more image would."""
    x = np.full((48, 48, 3), 128, dtype=np.uint8)
    peaks = []
    for queries in (64, 1024):
        tracemalloc.start()
        replay(
            LikelihoodRatio(queries=queries, batch=64).plan(x, UINT8, 0), answer(lambda image: float(image[0, 0, 0]))
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] - peaks[0] < x.nbytes


def test_every_copy_is_asked_once_in_batches() -> None:
    """It asks `queries` rows in all, `batch` at a time, no two alike."""
    asked: list[int] = []
    seen: set[bytes] = set()

    def score(ask: Ask) -> Scores:
        asked.append(len(ask.images))
        seen.update(ask.images[row].tobytes() for row in range(len(ask.images)))
        return Scores.blank(len(ask.images))

    gradient = replay(LikelihoodRatio(queries=50, batch=20).plan(PHOTO, UINT8, 0), score)

    assert (asked, len(seen)) == ([20, 20, 10], 50)
    assert gradient.answered == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("queries", 0), ("sigma", 0.0), ("sigma", -1.0), ("sigma", math.nan), ("batch", 0)],
)
def test_values_that_cannot_work_are_refused_before_anything_is_asked(name: str, value: float) -> None:
    """A constructor value out of range is a UsageError that names it."""
    with pytest.raises(UsageError, match=f"{name} must be"):
        LikelihoodRatio(**{name: value})  # type: ignore[arg-type]  # the wrong type is part of the test


def test_its_repr_is_its_constructor_call() -> None:
    """A printed estimator can be pasted back."""
    lr = LikelihoodRatio(queries=3, sigma=2.5)

    assert repr(lr) == (
        "LikelihoodRatio(queries=3, sigma=2.5, batch=256, density='gaussian', control='mean', antithetic=False)"
    )
    assert eval(repr(lr)) == lr
