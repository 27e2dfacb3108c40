"""Means and variances of the estimators against closed forms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest

from bbquery.errors import UnknownName, UsageError
from bbquery.estimators.blr import BlockLikelihoodRatio
from bbquery.estimators.dct import LowFrequencyCosines
from bbquery.estimators.es import EvolutionStrategy
from bbquery.estimators.finite_differences import FiniteDifferences
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.estimators.nes import NaturalEvolution
from bbquery.estimators.orthogonal import OrthogonalDirections
from bbquery.estimators.spsa import SimultaneousPerturbation
from bbquery.perturb.blocks import coverage
from bbquery.perturb.densities import Density
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8
from tests.support.known_scores import answer, assert_mean, estimates, linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators import GradientEstimator
    from bbquery.types import Domain, Image

pytestmark = pytest.mark.slow

SHAPE = (4, 4, 3)
SIZE = 48
PHOTO = np.random.default_rng(5).uniform(50, 200, SHAPE)
A = np.random.default_rng(1).normal(size=SHAPE)
TOTAL = float((A**2).sum())
M = 20  # directions

# What is left of value i of a linear score's slope a after M directions, times M: |a|² and aᵢ² at hand.
SPHERE = SIZE / (SIZE + 2)
VARIANCES: list[tuple[GradientEstimator, Any]] = [
    (LikelihoodRatio(queries=M + 1), TOTAL + A**2),
    (LikelihoodRatio(queries=2 * M, antithetic=True), TOTAL + A**2),
    (EvolutionStrategy(queries=2 * M), TOTAL + A**2),
    (SimultaneousPerturbation(queries=2 * M), TOTAL - A**2),
    (FiniteDifferences(queries=M + 1, directions="gaussian", scheme="forward"), TOTAL + A**2),
    (FiniteDifferences(queries=M + 1, directions="sphere", scheme="forward"), SPHERE * (TOTAL + 2 * A**2) - A**2),
    (FiniteDifferences(queries=2 * M, directions="sphere", scheme="central"), SPHERE * (TOTAL + 2 * A**2) - A**2),
]


@pytest.mark.parametrize(("estimator", "expected"), VARIANCES, ids=lambda e: repr(e)[:60])
def test_the_variance_on_a_linear_score_is_the_one_stated(estimator: GradientEstimator, expected: Any) -> None:
    """For f = a·x + b the squared error is what the estimator's docstring says, whatever b is."""
    seeds = 60

    errors = (estimates(estimator, linear(A, 30.0), PHOTO, FLOAT, seeds=seeds) - A.ravel()) ** 2

    # 60 seeds × 48 values leave a relative deviation of about sqrt(2 / 2880) = 2.6 %, more for correlated errors
    assert errors.mean() * M == pytest.approx(np.mean(expected), rel=0.12)


@pytest.mark.parametrize("directions", [5, 20, 40])
def test_orthonormal_directions_leave_only_what_they_do_not_span(directions: int) -> None:
    """The expected squared error is (d / m - 1) |a|², so it vanishes as m approaches d."""
    found = estimates(OrthogonalDirections(queries=2 * directions), linear(A, 9.0), PHOTO, FLOAT, seeds=60)

    error = ((found - A.ravel()) ** 2).sum(axis=1).mean()
    assert error == pytest.approx((SIZE / directions - 1) * TOTAL, rel=0.15)
    projection = found[0] * directions / SIZE  # an orthogonal projection is as long as its product with the original
    assert projection @ A.ravel() == pytest.approx(projection @ projection)


EXACT: list[GradientEstimator] = [
    OrthogonalDirections(queries=2 * SIZE),
    OrthogonalDirections(queries=2 * SIZE + 31),
    OrthogonalDirections(queries=4 * SIZE),
    LowFrequencyCosines(queries=5 * SIZE, frequencies=4, batch=50),
    LowFrequencyCosines(queries=2 * SIZE, frequencies=4),
    FiniteDifferences(queries=SIZE + 1, directions="coordinates", scheme="forward"),
    FiniteDifferences(queries=2 * SIZE, directions="coordinates", scheme="central"),
]


@pytest.mark.parametrize("estimator", EXACT, ids=lambda e: repr(e)[:60])
def test_a_complete_basis_finds_a_linear_slope_exactly(estimator: GradientEstimator) -> None:
    """With as many directions as values nothing but rounding is off."""
    found = replay(estimator.plan(PHOTO, FLOAT, 3), answer(linear(A, 9.0))).values

    np.testing.assert_allclose(found, A, atol=1e-10)


@pytest.mark.parametrize("scheme", ["forward", "central"])
def test_coordinates_are_exact_at_black_and_white_too(scheme: Any) -> None:
    """On uint8 a value at 0 or 255 is moved where it can move, and divided by how far it did."""
    x = np.tile(np.array([0, 3, 252, 255], dtype=np.uint8), 12).reshape(SHAPE)
    estimator = FiniteDifferences(queries=2 * SIZE, directions="coordinates", scheme=scheme)

    found = replay(estimator.plan(x, UINT8, 3), answer(linear(A))).values

    np.testing.assert_allclose(found, A, atol=1e-9)


def test_coordinates_not_asked_are_left_at_zero() -> None:
    """A part of the coordinates gives the gradient's projection on them: theirs exactly, 0 elsewhere."""
    estimator = FiniteDifferences(queries=11, directions="coordinates", scheme="forward")

    found = replay(estimator.plan(PHOTO, FLOAT, 3), answer(linear(A))).values

    assert np.count_nonzero(found) == 10
    np.testing.assert_allclose(found[found != 0], A[found != 0], atol=1e-10)


def test_a_refused_photo_costs_forward_differences_only_their_origin() -> None:
    """Where the photo itself is not answered, differences are taken to the mean: the slope is found."""
    estimator = FiniteDifferences(queries=41, scheme="forward")

    def score(image: Image) -> float:
        return math.nan if np.array_equal(image, PHOTO) else linear(A)(image)

    found = estimates(estimator, score, PHOTO, FLOAT, seeds=40)

    assert_mean(found, A)
    assert replay(estimator.plan(PHOTO, FLOAT, 0), answer(score)).answered == 40


@pytest.mark.parametrize("scheme", ["forward", "central"])
@pytest.mark.parametrize("level", [0, 255])
def test_clipped_directions_keep_their_slope(scheme: Any, level: int) -> None:
    """On black or white, where clipping gives directions a mean, neither scheme takes that mean for a slope."""
    x = np.full(SHAPE, level, dtype=np.uint8)

    estimator = FiniteDifferences(queries=40, directions="gaussian", scheme=scheme)

    found = estimates(estimator, linear(np.ones(SHAPE)), x, UINT8, seeds=25)

    assert found.mean() == pytest.approx(1.0, abs=0.2)


def test_a_refused_photo_leaves_coordinates_their_slopes_to_the_mean() -> None:
    """Without the photo's score each coordinate's slope is off by no more than the mean of the others' is."""
    estimator = FiniteDifferences(queries=SIZE + 1, directions="coordinates", scheme="forward")

    def score(image: Image) -> float:
        return math.nan if np.array_equal(image, PHOTO) else linear(A)(image)

    found = replay(estimator.plan(PHOTO, FLOAT, 0), answer(score)).values

    assert np.corrcoef(found.ravel(), A.ravel())[0, 1] > 0.95


# --- Stein's identity ---


def quadratic(image: Image) -> float:
    """Have the gradient 2 C v + b at v."""
    v = image.ravel() - 100
    return float(v @ CURVE @ v + B @ v)


def cubic(image: Image) -> float:
    """Have the gradient 3 v² at v, whose mean under noise of deviation σ is 3 (x² + σ²)."""
    return float((((image - 100) / 50) ** 3).sum())


CURVE = np.random.default_rng(2).normal(size=(12, 12)) / 200
CURVE += CURVE.T
B = np.random.default_rng(3).normal(size=12)
SMALL = np.random.default_rng(4).uniform(60, 140, (2, 2, 3))
STEIN: dict[str, Any] = {
    "lr": lambda density: LikelihoodRatio(queries=40, sigma=30.0, density=density),
    "lr, pairs": lambda density: LikelihoodRatio(queries=40, sigma=30.0, density=density, antithetic=True),
    "lr, as published": lambda density: LikelihoodRatio(queries=40, sigma=30.0, density=density, control="none"),
    "blr": lambda density: BlockLikelihoodRatio(queries=40, sigma=30.0, density=density, blocks=1),
}


@pytest.mark.parametrize("density", get_args(Density))
@pytest.mark.parametrize("form", STEIN)
def test_the_mean_is_the_mean_gradient_for_every_density(form: str, density: Density) -> None:
    """Theorem 1: the expectation is E g(x + z), closed for a quadratic (g at x) and a cubic (g at x and σ)."""
    estimator = STEIN[form](density)

    of_quadratic = estimates(estimator, quadratic, SMALL, FLOAT, seeds=25)
    of_cubic = estimates(estimator, cubic, SMALL, FLOAT, seeds=50)

    assert_mean(of_quadratic, 2 * CURVE @ (SMALL.ravel() - 100) + B)
    smoothed = 3 * (((SMALL - 100) / 50) ** 2 + (30 / 50) ** 2) / 50
    assert_mean(of_cubic, smoothed)
    assert np.abs(of_cubic.mean(axis=0) - smoothed.ravel()).mean() < 0.3 * smoothed.mean()


@pytest.mark.parametrize("density", get_args(Density))
@pytest.mark.parametrize("control", ["mean", "none"])
def test_blocks_have_the_mean_of_theorem_2(control: Any, density: Density) -> None:
    """E = E[J g(x + J z)] / q: for f = v₀ v₁² value 0 gets x₁² + σ² P(1 is covered | 0 is), 1 gets 2 x₀ x₁.

    On 3 × 3 pixels with 1 × 2 blocks that lie across a pair of neighbours in one of two places, P is ½.
    """
    x, sigma = np.random.default_rng(6).uniform(1.0, 2.0, (1, 4, 3)), 1.0
    estimator = BlockLikelihoodRatio(queries=60, sigma=sigma, blocks=2, density=density, control=control)

    found = estimates(estimator, lambda v: float(v[0, 1, 0] * v[0, 2, 0] ** 2), x, FLOAT, seeds=60)

    expected = np.zeros(x.shape)
    expected[0, 1, 0] = x[0, 2, 0] ** 2 + sigma**2 * 0.5
    expected[0, 2, 0] = 2 * x[0, 1, 0] * x[0, 2, 0]
    assert_mean(found, expected)


# --- blocks against the whole: eq. 9 ---


def together(size: int, block: int) -> NDArray[np.float64]:
    """Return P(k is covered | i is covered) for the pixels i, k of a square."""
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    line: NDArray[np.float64] = np.maximum(0, 1 - apart / block)
    return np.asarray(np.kron(line, line), dtype=np.float64)


def eq_9(copies: int, rows: int) -> tuple[float, float, float, float]:
    """Return the mean variances of blr over `rows` and of lr over `copies` rows, found and by theory.

    For f = a·(v - x) and the estimators as published. Theory, for m rows, in units of 1:
    lr (|a|² + aᵢ²) / m, blr ((Σ_k a_k² P(k | i) + 2 aᵢ²) / q - aᵢ²) / m.
    """
    x, a = np.full((6, 6, 3), 100.0), np.random.default_rng(8).normal(size=(6, 6, 3))
    blocks = BlockLikelihoodRatio(queries=rows, blocks=3, control="none")
    whole = LikelihoodRatio(queries=copies, control="none")
    found = [
        ((estimates(e, linear(a, -100 * a.sum()), x, FLOAT, seeds=9600 // e.queries) - a.ravel()) ** 2).mean()
        for e in (blocks, whole)
    ]
    q = coverage((6, 6), (2, 2))
    near = together(6, 2) @ (a**2).sum(axis=-1).ravel()
    square = a.reshape(36, 3) ** 2
    blr = ((near[:, None] + 2 * square) / q - square) / rows
    lr = (square.sum() + square) / copies
    return float(found[0]), float(found[1]), float(blr.mean()), float(lr.mean())


def test_at_equal_copies_per_pixel_blocks_have_the_smaller_variance() -> None:
    """Eq. 9: 16 copies of each value take 16 rows of whole noise and 196 of blocks (q = 4 / 49), and blocks win."""
    assert coverage((6, 6), (2, 2)) == pytest.approx(16 / 196)

    blr, lr, blr_theory, lr_theory = eq_9(copies=16, rows=196)

    assert [blr / blr_theory, lr / lr_theory] == pytest.approx([1, 1], rel=0.12)
    assert blr < 0.2 * lr


def test_at_equal_queries_blocks_win_nothing() -> None:
    """With 98 rows for either the variance of blocks is not below that of whole noise, by theory and as found."""
    blr, lr, blr_theory, lr_theory = eq_9(copies=98, rows=98)

    assert [blr / blr_theory, lr / lr_theory] == pytest.approx([1, 1], rel=0.12)
    assert blr_theory > lr_theory
    assert blr > lr


# --- pairs ---

PAIRED: list[GradientEstimator] = [
    LikelihoodRatio(queries=20, antithetic=True),
    LikelihoodRatio(queries=20, antithetic=True, density="logistic"),
    EvolutionStrategy(queries=20),
    EvolutionStrategy(queries=20, fitness="rank"),
    SimultaneousPerturbation(queries=20),
    OrthogonalDirections(queries=20),
    LowFrequencyCosines(queries=20),
    NaturalEvolution(queries=20),
    NaturalEvolution(queries=20, resize=0.5),
    FiniteDifferences(queries=20, scheme="central"),
]


@pytest.mark.parametrize("estimator", PAIRED, ids=lambda e: repr(e)[:70])
def test_pairs_cancel_even_terms_exactly(estimator: GradientEstimator) -> None:
    """A score that is even around the photo has a gradient of exactly 0: no sampling error is left of curvature."""
    found = replay(estimator.plan(np.zeros(SHAPE), FLOAT, 0), answer(lambda image: float((image**2).sum())))

    assert not found.values.any()
    assert found.mean_score != 0


# --- what single estimators promise ---


def test_shared_masks_find_the_mean_slope_of_the_channels() -> None:
    """NES: the estimate is the mean of the three channels' slopes, in each of them, with variance (|s|² + sᵢ²) / 9m."""
    found = estimates(NaturalEvolution(queries=2 * M), linear(A), PHOTO, FLOAT, seeds=60).reshape(-1, *SHAPE)

    summed = A.sum(axis=-1)
    assert np.ptp(found, axis=-1).max() == 0
    assert_mean(found[..., 0].reshape(60, -1), summed / 3)
    variance = ((found[..., 0] - summed / 3) ** 2).mean() * 9 * M
    assert variance == pytest.approx(((summed**2).sum() + summed**2).mean(), rel=0.15)


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_enlarged_masks_find_a_local_mean_of_the_slope(domain: Domain) -> None:
    """GERS: a slope that is the same everywhere comes back as it is, and one pixel's is spread over its neighbours."""
    x = np.full((8, 8, 3), 128, dtype=np.uint8)
    a = np.zeros(x.shape)
    a[4, 4] = 1.0
    estimator = NaturalEvolution(queries=40, resize=0.5)

    flat = estimates(estimator, linear(np.ones(x.shape)), x, domain, seeds=40)
    spread = estimates(estimator, linear(a), x, domain, seeds=40).mean(axis=0).reshape(x.shape)

    assert flat.mean() == pytest.approx(1.0, abs=0.1)
    assert spread[3:6, 3:6, 0].mean() > 5 * np.abs(spread[:2, :, 0]).mean()


def test_cosines_find_the_smooth_part_of_the_slope() -> None:
    """DCT: the estimate is the orthogonal projection on the lowest waves, as SciPy transforms them."""
    from scipy.fft import dctn, idctn

    a = np.random.default_rng(1).normal(size=(7, 9, 3))
    x = np.full(a.shape, 100.0)
    estimator = LowFrequencyCosines(queries=2 * 27, frequencies=3)

    found = replay(estimator.plan(x, FLOAT, 0), answer(linear(a))).values

    low = dctn(a, axes=(0, 1), norm="ortho")
    low[3:], low[:, 3:] = 0, 0
    np.testing.assert_allclose(found, idctn(low, axes=(0, 1), norm="ortho"), atol=1e-10)


def test_ranks_do_not_see_an_increasing_function_of_the_score() -> None:
    """ES by rank: the estimate of f and of exp(f) are the same bits, and point where the slope does."""
    by_rank = EvolutionStrategy(queries=600, fitness="rank")
    plain = replay(by_rank.plan(PHOTO, FLOAT, 0), answer(linear(A / 100)))
    curved = replay(by_rank.plan(PHOTO, FLOAT, 0), answer(lambda image: math.exp(linear(A / 100)(image) / 10)))

    np.testing.assert_array_equal(plain.values, curved.values)
    assert np.corrcoef(plain.values.ravel(), A.ravel())[0, 1] > 0.8
    assert abs(plain.mean_score) < 1e-9


def test_as_published_a_constant_is_noise() -> None:
    """Without control, f(x)² / σ² is in the variance: a constant score of 100 has a gradient of size 100 / σ √n."""
    found = estimates(LikelihoodRatio(queries=25, sigma=10.0, control="none"), lambda _: 100.0, PHOTO, FLOAT, seeds=40)

    assert found.std() == pytest.approx(100 / 10 / math.sqrt(25), rel=0.1)


@pytest.mark.parametrize(
    "estimator",
    [LikelihoodRatio(queries=60, control="none"), BlockLikelihoodRatio(queries=300, control="none", blocks=1)],
    ids=lambda e: type(e).__name__,
)
def test_as_published_realised_moments_are_used_on_uint8(estimator: GradientEstimator) -> None:
    """Without control too, clipped noise is divided by its realised second moment: a score of one value is exact."""
    x, a = np.zeros((1, 1, 3), dtype=np.uint8), np.array([[[1.0, 0.0, 0.0]]])

    found = replay(estimator.plan(x, UINT8, 0), answer(linear(a))).values

    assert found[0, 0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("density", ["laplace", "logistic"])
def test_heavy_tailed_noise_finds_a_linear_slope_on_uint8(density: Density) -> None:
    """Whatever the density, covariance over realised variance has a linear score's slope as its mean."""
    x = np.tile(np.array([0, 128, 255], dtype=np.uint8), 16).reshape(SHAPE)

    found = estimates(LikelihoodRatio(queries=60, density=density), linear(A), x, UINT8, seeds=60)

    assert_mean(found, A)


# --- refusals ---


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (LikelihoodRatio, {"density": "cauchy"}),
        (LikelihoodRatio, {"control": "median"}),
        (BlockLikelihoodRatio, {"density": "cauchy"}),
        (BlockLikelihoodRatio, {"control": "median"}),
        (EvolutionStrategy, {"fitness": "age"}),
        (FiniteDifferences, {"directions": "home"}),
        (FiniteDifferences, {"scheme": "backward"}),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(make: Any, options: dict[str, str]) -> None:
    """A name that is none is an UnknownName that says which are known."""
    with pytest.raises(UnknownName, match="known: "):
        make(**options)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (LikelihoodRatio, {"control": "none", "antithetic": True}),
        (BlockLikelihoodRatio, {"blocks": 0}),
        (LowFrequencyCosines, {"frequencies": 0}),
        (NaturalEvolution, {"resize": 0.0}),
        (NaturalEvolution, {"resize": 1.1}),
    ],
)
def test_an_option_that_cannot_work_is_refused(make: Any, options: dict[str, Any]) -> None:
    """A value out of range is a UsageError that names it."""
    with pytest.raises(UsageError, match=next(iter(options))):
        make(**options)
