from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import gamma, kv
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from bbquery.saliency._gaussian_process import (
    LENGTH_SCALES,
    NO_AVERAGES,
    GaussianProcess,
    likeliest_length_scale,
    matern,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RNG = np.random.default_rng(11)
STATES = RNG.uniform(0, 224, (30, 3))
VALUES = RNG.normal(size=30)
AVERAGES = RNG.uniform(0, 224, (7, 1, 3)) + np.array([[0.0, 0, 0], [0, 0, 20], [0, 0, 50]])
SCALE, NOISE = 40.0, 1e-2


def kernel(a: Array, b: Array, length_scale: float = SCALE) -> Array:
    """Return the Matérn covariance as another library has it: (n, 3), (m, 3) to (n, m)."""
    found: Array = Matern(length_scale=length_scale, nu=2.5)(a, b)
    return found


def conditioned(count: int = 30, averages: Array = AVERAGES) -> GaussianProcess:
    process = GaussianProcess(STATES, averages, length_scale=SCALE, noise=NOISE, most=30)
    for row in range(count):
        process.learn(process.observe(row), VALUES[row])
    return process


def test_the_kernel_is_the_papers() -> None:
    """With ν = 5/2 it is 2^(1 - ν) / Γ(ν) (√(2ν) r)^ν K_ν(√(2ν) r), the Bessel form of eq. 1, and 1 at 0."""
    r, nu = np.linspace(0.01, 6, 50), 2.5
    bessel = 2 ** (1 - nu) / gamma(nu) * (math.sqrt(2 * nu) * r) ** nu * kv(nu, math.sqrt(2 * nu) * r)

    np.testing.assert_allclose(matern(r**2), bessel, rtol=1e-10)
    assert matern(np.zeros(1)) == 1.0


@pytest.mark.parametrize("count", [1, 2, 12, 30])
def test_conditioning_a_row_at_a_time_solves_the_normal_equations(count: int) -> None:
    """Mean and variance, of states and of averages of states, are those of one solve with K + noise I."""
    process = conditioned(count)

    seen = STATES[:count]
    across = np.vstack([kernel(STATES, seen), [kernel(group, seen).mean(axis=0) for group in AVERAGES]])
    prior = np.concatenate([np.ones(30), [kernel(group, group).mean() for group in AVERAGES]])
    inverse = np.linalg.inv(kernel(seen, seen) + NOISE * np.eye(count))
    np.testing.assert_allclose(process.mean, across @ inverse @ VALUES[:count], atol=1e-9)
    np.testing.assert_allclose(process.variance, prior - np.einsum("ti,ij,tj->t", across, inverse, across), atol=1e-9)


def test_it_predicts_as_scikit_learn_does() -> None:
    """GaussianProcessRegressor with the same kernel, σ² and noise has the same mean and standard deviation."""
    process = conditioned(20, NO_AVERAGES)
    theirs = GaussianProcessRegressor(
        ConstantKernel(process.scale) * Matern(length_scale=SCALE, nu=2.5), alpha=NOISE * process.scale, optimizer=None
    ).fit(STATES[:20], VALUES[:20])

    mean, deviation = theirs.predict(STATES, return_std=True)

    np.testing.assert_allclose(process.mean, mean, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(process.scale * process.variance), deviation, atol=1e-6)


def test_the_scale_and_the_likelihood_are_those_of_the_joint_density() -> None:
    """σ² is yᵀ K⁻¹ y / n, where their density is largest; the likelihood is its logarithm, less a constant."""
    process = conditioned()

    covariance = kernel(STATES, STATES) + NOISE * np.eye(30)
    assert process.scale == pytest.approx(VALUES @ np.linalg.solve(covariance, VALUES) / 30)
    log_density = multivariate_normal(np.zeros(30), process.scale * covariance).logpdf(VALUES)
    assert process.log_likelihood == pytest.approx(log_density + 15 * (math.log(2 * math.pi) + 1))


@given(unanswered=st.sets(st.integers(0, 11)))
@settings(deadline=None, max_examples=30)
def test_what_is_never_answered_is_as_expected(unanswered: set[int]) -> None:
    """An observation without an answer leaves the mean as if its answer had been what was expected of it."""
    process = GaussianProcess(STATES, NO_AVERAGES, length_scale=SCALE, noise=NOISE, most=12)
    expected = GaussianProcess(STATES, NO_AVERAGES, length_scale=SCALE, noise=NOISE, most=12)
    for row in range(12):
        process.observe(row)
        expected.observe(row)

    for row in range(12):
        expected.learn(row, expected.mean[row] if row in unanswered else VALUES[row])
        if row not in unanswered:
            process.learn(row, VALUES[row])

    np.testing.assert_allclose(process.mean, expected.mean, atol=1e-12)
    assert np.array_equal(process.variance, expected.variance)


def test_supposing_is_learning_without_a_trace() -> None:
    """What the mean would be is what it is once the answer is taken in; until then nothing has changed."""
    process = conditioned(5)
    before, observation = process.mean.copy(), process.observe(5)

    supposed = process.supposing(observation, VALUES[5], process.mean)

    assert np.array_equal(process.mean, before)
    process.learn(observation, VALUES[5])
    assert np.array_equal(process.mean, supposed)


def test_zeros_stay_zeros() -> None:
    """Where nothing ever happened nothing is expected, exactly, and there is nothing to be likely."""
    process = GaussianProcess(STATES, AVERAGES, length_scale=SCALE, noise=NOISE, most=30)
    for row in range(30):
        process.learn(process.observe(row), 0.0)

    assert not process.mean.any()
    assert (process.scale, process.log_likelihood) == (0.0, 0.0)


@pytest.mark.parametrize("truth", [LENGTH_SCALES[2], LENGTH_SCALES[5]])
def test_the_likeliest_length_scale_is_near_the_true_one(truth: float) -> None:
    """Of 10 draws of 60 values from a process of a known length scale, nearly all are found within one step of it."""
    rng = np.random.default_rng(2)
    steps = []
    for _ in range(10):
        states = rng.uniform(0, 100, (60, 3)) * np.array([1, 1, 0.3])
        root = np.linalg.cholesky(kernel(states, states, truth) + 1e-3 * np.eye(60))
        found = likeliest_length_scale(states, root @ rng.normal(size=60), 1e-3)
        steps.append(abs(round(2 * math.log2(found / truth))))

    assert np.mean(np.array(steps) <= 1) >= 0.9


def test_the_length_scale_is_the_likeliest_of_those_looked_at() -> None:
    """It is where scikit-learn's likelihood, at the best σ² of each, is largest."""
    kernel_at = {scale: kernel(STATES, STATES, scale) + NOISE * np.eye(30) for scale in LENGTH_SCALES}
    smooth = np.sin(cdist(STATES, np.zeros((1, 3)))[:, 0] / 40)

    def profile(scale: float) -> float:
        best = smooth @ np.linalg.solve(kernel_at[scale], smooth) / 30
        return float(multivariate_normal(np.zeros(30), best * kernel_at[scale]).logpdf(smooth))

    assert likeliest_length_scale(STATES, smooth, NOISE) == max(LENGTH_SCALES, key=profile)
