"""The axioms of attribution, for integrated gradients over every estimator there is, on scores with known answers.

Sundararajan et al., "Axiomatic Attribution for Deep Networks", state them for exact gradients; Cai and Wunder, "On
Gradient-like Explanation under a Black-box Setting", for estimated ones as rows go to infinity. Here rows are finite:
what holds for any number of them is tested to the bit or to rounding, the rest as the mean over seeds, within five of
its standard errors. Scores are of degree two, for which no estimator is biased, and see a pixel's mean over its
channels, as some estimators move the channels together; photo and baseline are grey.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery import load
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, SaliencyMap, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Score = Callable[[NDArray[np.float64]], float]

pytestmark = pytest.mark.slow

ESTIMATORS = list(load.names("estimator"))
# with 54 rows at a step, a pair for each of the 27 values, these leave nothing to chance
EXACT = ["orthogonal", "dct", "finite_differences,estimator.directions=coordinates,estimator.scheme=central"]
COORDINATES = EXACT[-1]
STEPS, ROWS = 5, 54

PIXELS = np.random.default_rng(6).uniform(60, 220, (3, 3))
PHOTO = np.repeat(PIXELS[..., None], 3, axis=-1)
SLOPE, BEND = np.random.default_rng(7).normal(size=(2, 3, 3)) * [[[1.0]], [[0.004]]]
IGNORED = (1, 2)
SLOPE[IGNORED] = BEND[IGNORED] = 0.0


def quadratic(image: NDArray[np.float64]) -> float:
    """A score in which pixels bend, and every two neighbours in a row work together; one pixel has no part in it."""
    grey = image.mean(axis=-1)
    return float((SLOPE * grey).sum() + (BEND * grey**2).sum() + 0.003 * grey[0, 0] * grey[0, 1])


def linear(image: NDArray[np.float64]) -> float:
    return float((SLOPE[::-1] * image.mean(axis=-1)).sum())


def single(image: NDArray[np.float64]) -> float:
    """A score of one pixel alone."""
    grey = float(image[2, 0].mean())
    return 0.2 * grey + 0.002 * grey**2


def attribution(
    score: Score, estimator: str, *, seed: int = 0, rows: int = ROWS, method: str = "integrated:baseline=grey,steps=5"
) -> SaliencyMap:
    def answer(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    configured = load.method(f"{method},estimator={estimator},queries={STEPS * rows}")
    return replay(configured.plan(PHOTO, FLOAT, seed), answer)


@functools.cache
def over_seeds(score: Score, estimator: str, seeds: int = 8) -> NDArray[np.float64]:
    return np.stack([attribution(score, estimator, seed=seed).values for seed in range(seeds)])


def errors(found: NDArray[np.float64], truth: float) -> float:
    """How many standard errors of their mean the findings of several seeds are off the truth, at least 1e-9 each."""
    return float(abs(found.mean() - truth) / max(found.std(ddof=1) / np.sqrt(len(found)), 1e-9))


def gained(score: Score) -> float:
    """The score's change on the way from the baseline to the photo."""
    return score(PHOTO) - score(np.full_like(PHOTO, 127.0))


# --- completeness ---


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_completeness(estimator: str) -> None:
    """Attributions add up to what the score gains from baseline to photo, within the estimates' error."""
    totals = over_seeds(quadratic, estimator).sum(axis=(1, 2))

    assert errors(totals, gained(quadratic)) < 5
    assert totals.std() < abs(gained(quadratic))  # the error is small enough for that to say something


@pytest.mark.parametrize("estimator", EXACT)
def test_completeness_is_exact_where_gradients_are(estimator: str) -> None:
    """With a pair for each value the midpoint rule leaves nothing for a score of degree two but rounding."""
    found = attribution(quadratic, estimator)

    assert abs(found.values.sum() - gained(quadratic)) < 1e-9 * abs(gained(quadratic))


# --- sensitivity and insensitivity ---


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_sensitivity(estimator: str) -> None:
    """Where photo and baseline differ in the one pixel that counts, that pixel has the whole gain."""
    found = over_seeds(single, estimator)

    assert errors(found[:, 2, 0], gained(single)) < 5
    assert (np.abs(found.mean(axis=0)).argmax(), found.mean(axis=0)[2, 0] > 0) == (6, gained(single) > 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_insensitivity(estimator: str) -> None:
    """A pixel that the score ignores gets nothing, within the estimates' error."""
    assert errors(over_seeds(quadratic, estimator)[:, *IGNORED], 0.0) < 5


def test_insensitivity_is_exact_along_coordinates() -> None:
    """Where one value is moved at a time, an ignored pixel gets exactly 0, and every other pixel something."""
    found = attribution(quadratic, COORDINATES).values

    assert found[IGNORED] == 0.0
    assert np.count_nonzero(found) == 8


# --- linearity ---


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_linearity(estimator: str) -> None:
    """The attribution of a weighted sum of scores is the weighted sum of theirs, to rounding, from the same seed."""

    def mixed(image: NDArray[np.float64]) -> float:
        return 2.0 * quadratic(image) - 0.7 * linear(image)

    both = attribution(mixed, estimator, rows=20).values

    of_quadratic, of_linear = (attribution(score, estimator, rows=20).values for score in (quadratic, linear))
    apart = 2.0 * of_quadratic - 0.7 * of_linear
    np.testing.assert_allclose(both, apart, rtol=0, atol=1e-9 * np.abs(apart).max())
    assert np.abs(apart).max() > 1


# --- implementation invariance ---


def one_program(image: NDArray[np.float64]) -> float:
    return float(np.maximum(image - 120.0, 0.0).sum() * 2.0)


def other_program(image: NDArray[np.float64]) -> float:
    above = np.where(image > 120.0, image - 120.0, 0.0)
    return float(above.sum() + above.sum())


@pytest.mark.parametrize("method", ["vanilla:", "integrated:baseline=black,", "smoothgrad:", "vargrad:"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_implementation_invariance(estimator: str, method: str) -> None:
    """Two programs that give the same answers get the same map, to the bit: nothing else of them is seen."""
    first, second = (
        attribution(program, estimator, method=f"{method}estimator.batch=64", rows=10)
        for program in (one_program, other_program)
    )

    assert np.array_equal(first.values, second.values)
    assert first.values.any()
