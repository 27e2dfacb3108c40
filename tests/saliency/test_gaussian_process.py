from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import gamma, kv
from scipy.stats import multivariate_normal
from threadpoolctl import ThreadpoolController

from bbquery.saliency._gaussian_process import (
    NO_AVERAGES,
    GaussianProcess,
    KnownCovariances,
    likeliest_length_scale,
)
from bbquery.saliency._window_states import LENGTH_SCALES
from tests.support.matern import covariance, scale_of, solved
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.saliency._gaussian_process import Posterior

    Array = NDArray[np.float64]

RNG = np.random.default_rng(11)
STATES = RNG.uniform(0, 224, (30, 3))
VALUES = RNG.normal(size=30)
AVERAGES = RNG.uniform(0, 224, (7, 1, 3)) + np.array([[0.0, 0, 0], [0, 0, 20], [0, 0, 50]])
SCALE, NOISE = 40.0, 1e-2


def process(averages: Array = AVERAGES) -> GaussianProcess:
    return GaussianProcess(STATES, averages, length_scale=SCALE, noise=NOISE)


def conditioned(count: int = 30) -> Posterior:
    return process().given(list(range(count)), VALUES[:count].tolist())


def test_the_kernel_is_the_papers() -> None:
    """With ν = 5/2 it is 2^(1 - ν) / Γ(ν) (√(2ν) r)^ν K_ν(√(2ν) r), the Bessel form of eq. 1, and 1 at 0."""
    r, nu = np.linspace(0.01, 6, 50), 2.5
    at = np.stack([np.concatenate([[0.0], r]) * SCALE, np.zeros(51), np.zeros(51)], axis=1)

    known = GaussianProcess(at, NO_AVERAGES, length_scale=SCALE, noise=NOISE)._known

    bessel = 2 ** (1 - nu) / gamma(nu) * (math.sqrt(2 * nu) * r) ** nu * kv(nu, math.sqrt(2 * nu) * r)
    np.testing.assert_allclose(known.between[0, 1:], bessel, rtol=1e-10)
    assert known.between[0, 0] == 1.0


@pytest.mark.parametrize("count", [1, 2, 12, 30])
def test_what_is_known_solves_the_normal_equations(count: int) -> None:
    """Mean and deviation, of states and of averages of states, are those of one solve with K + noise I."""
    known, targets = conditioned(count), np.arange(37)

    mean, deviation = known.mean(targets), known.deviation(targets)

    at = (STATES[:count], VALUES[:count])
    of_states = solved(STATES[:, None], *at, length_scale=SCALE, noise=NOISE)
    of_averages = solved(AVERAGES, *at, length_scale=SCALE, noise=NOISE)
    np.testing.assert_allclose(mean, np.concatenate([of_states[0], of_averages[0]]), atol=1e-9)
    np.testing.assert_allclose(deviation**2, np.concatenate([of_states[1], of_averages[1]]), atol=1e-9)


@given(targets=st.lists(st.integers(0, 36), min_size=1, max_size=50))
@example(targets=list(range(36, -1, -1)))
@settings(max_examples=20)
def test_any_targets_can_be_asked_for(targets: list[int]) -> None:
    """What is said of some targets, in any order and repeated, is what is said of them among all."""
    known, some = conditioned(12), np.array(targets)

    mean, deviation = known.mean(some), known.deviation(some)

    np.testing.assert_allclose(mean, known.mean(np.arange(37))[some], atol=1e-12)
    np.testing.assert_allclose(deviation, known.deviation(np.arange(37))[some], atol=1e-12)


def test_the_scale_and_the_likelihood_are_those_of_the_joint_density() -> None:
    """σ² is yᵀ K⁻¹ y / n, where their density is largest; the likelihood is its logarithm, less a constant."""
    known = conditioned()

    scale = scale_of(STATES, VALUES, length_scale=SCALE, noise=NOISE)
    assert known.squares / 30 == pytest.approx(scale)
    gram = covariance(STATES, STATES, SCALE) + NOISE * np.eye(30)
    log_density = multivariate_normal(np.zeros(30), scale * gram).logpdf(VALUES)
    assert known.log_likelihood == pytest.approx(log_density + 15)


def test_zeros_stay_zeros() -> None:
    """Where nothing ever happened nothing is expected, exactly, and there is nothing to be likely."""
    known = process().given(list(range(30)), [0.0] * 30)

    assert not known.mean(np.arange(37)).any()
    assert (known.squares, known.log_likelihood) == (0.0, 0.0)


@given(
    noise=st.floats(1e-8, 10),
    length_scale=st.floats(1e-3, 1e9),
    twins=st.integers(0, 20),
)
@settings(max_examples=40)
def test_whatever_the_options_the_library_does_not_complain(noise: float, length_scale: float, twins: int) -> None:
    """Down to the least noise, and for states that are the same, no variance is negative: no warning, no failure."""
    states = np.vstack([STATES, STATES[:twins]])
    known = GaussianProcess(states, AVERAGES, length_scale=length_scale, noise=noise).given(
        list(range(len(states))), np.resize(VALUES, len(states)).tolist()
    )

    deviation = known.deviation(np.arange(len(states) + 7))

    assert (deviation >= 0).all()
    assert np.isfinite(deviation).all()


@pytest.mark.parametrize("truth", [LENGTH_SCALES[2], LENGTH_SCALES[5]])
def test_the_likeliest_length_scale_is_near_the_true_one(truth: float) -> None:
    """Of 10 draws of 60 values from a process of a known length scale, nearly all are found within one step of it."""
    rng = np.random.default_rng(2)
    steps = []
    for _ in range(10):
        states = rng.uniform(0, 100, (60, 3)) * np.array([1, 1, 0.3])
        root = np.linalg.cholesky(covariance(states, states, truth) + 1e-3 * np.eye(60))
        found = likeliest_length_scale(LENGTH_SCALES, states, root @ rng.normal(size=60), 1e-3)
        steps.append(abs(round(2 * math.log2(found / truth))))

    assert np.mean(np.array(steps) <= 1) >= 0.9


def test_the_length_scale_is_the_likeliest_of_those_looked_at() -> None:
    """It is where the density of the values, at the best σ² of each, is largest."""
    smooth = np.sin(cdist(STATES, np.zeros((1, 3)))[:, 0] / 40)

    def profile(scale: float) -> float:
        gram = covariance(STATES, STATES, scale) + NOISE * np.eye(30)
        best = scale_of(STATES, smooth, length_scale=scale, noise=NOISE)
        return float(multivariate_normal(np.zeros(30), best * gram).logpdf(smooth))

    assert likeliest_length_scale(LENGTH_SCALES, STATES, smooth, NOISE) == max(LENGTH_SCALES, key=profile)


def test_values_that_never_move_have_the_smallest_length_scale() -> None:
    """Where all length scales are as likely, the map is as fine as it can be."""
    assert likeliest_length_scale(LENGTH_SCALES, STATES, np.zeros(30), NOISE) == LENGTH_SCALES[0]


def test_a_regression_does_not_copy_what_is_known() -> None:
    """All regressions of a process look up one table; scikit-learn is told so, and that numbers say no distance."""
    known = process()._known

    assert known.__sklearn_clone__() is known
    assert conditioned()._regressor.kernel_.between.shape == (30, 37)
    assert KnownCovariances.is_stationary(known) is False


def blas_threads() -> set[int]:
    return {found["num_threads"] for found in ThreadpoolController().info() if found["user_api"] == "blas"}


def test_threads_that_work_side_by_side_find_the_same() -> None:
    """Regressions that overlap agree to the bit, and leave the process as many threads as before."""
    states = np.random.default_rng(3).uniform(0, 224, (500, 3))
    shared = GaussianProcess(states, NO_AVERAGES, length_scale=SCALE, noise=NOISE)

    def work(_: int) -> bytes:
        return shared.given(list(range(300)), states[:300, 0].tolist()).deviation(np.arange(500)).tobytes()

    with ThreadpoolController().limit(limits=2, user_api="blas"):
        with ThreadPoolExecutor(4) as threads:
            found = set(threads.map(work, range(8)))
        left = blas_threads()

    assert (len(found), left) == (1, {2})


REPEATED = """
import hashlib, numpy as np
from bbquery import load
from bbquery.plan import replay
from bbquery.types import UINT8, Scores
photo = np.random.default_rng(5).integers(0, 256, (48, 48, 3), dtype=np.uint8)
asked = hashlib.sha256()
def answer(ask):
    copies = [ask.images[row] for row in range(len(ask.images))]
    for copy in copies:
        asked.update(copy.tobytes())
    return Scores(np.zeros(len(copies), np.int8), np.array([float(copy[10:30, 5:20].mean()) for copy in copies]))
for specification in ("bayes:initial=220,batch=4", "random_windows:length_scale=none"):
    found = replay(load.method(specification, queries=240).plan(photo, UINT8, 1), answer)
    asked.update(found.values.tobytes() + found.standard_error.tobytes())
print(asked.hexdigest())
"""


def test_a_run_is_the_same_to_the_bit_on_any_number_of_threads() -> None:
    """What is asked, the map and its error do not depend on how many threads the linear algebra may use."""
    found = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-c", REPEATED],
            cwd=ROOT,
            env=dict.fromkeys(names, threads),
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)

    assert len(found) == 1


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from bbquery import load
from bbquery.errors import MissingExtra
from bbquery.plan import step
from bbquery.types import UINT8
for name in ("bayes", "random_windows"):
    try:
        step(load.method(name, queries=9).plan(np.zeros((8, 8, 3), np.uint8), UINT8, 0), None)
    except MissingExtra as error:
        print(name, error.extra, error)
"""
LAZY = """
import sys
import bbquery.cli
from bbquery import load
from bbquery.saliency import bayes, random_windows
load.method("bayes"), load.method("random_windows")
print(sorted({"sklearn", "scipy"} & set(sys.modules)))
"""


def printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_without_the_library_nothing_is_asked_and_the_extra_is_named() -> None:
    """Both methods fail before their first query, and say what to install."""
    first, second = printed(WITHOUT).splitlines()

    assert first.startswith("bayes bayes a Gaussian process over windows needs the package 'scikit-learn'")
    assert second.startswith("random_windows bayes ")
    assert "bbquery[bayes]" in first


def test_the_library_waits_until_a_map_is_asked_for() -> None:
    """Neither the command line nor choosing a method imports scikit-learn."""
    assert printed(LAZY) == "[]\n"
