from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.estimators.statistics.moments import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Fixed:
    """Perturbations given as an array (n, ...)."""

    def __init__(self, z: NDArray[np.float64]) -> None:
        self.z = z

    def realised(self, row: int) -> NDArray[np.float64]:
        return np.asarray(self.z[row])


@pytest.mark.parametrize("n", [2, 8, 9, 50])
def test_moments_are_those_of_numpy(n: int) -> None:
    """Covariance, variance and mean equal numpy's over all rows at once, however they were divided into batches."""
    rng = np.random.default_rng(n)
    z, f = rng.normal(3.0, 2.0, (n, 2, 5)), rng.normal(size=n)
    moments = Moments((2, 5))

    for part in (slice(0, n // 3), slice(n // 3, n)):
        moments.add(Fixed(z[part]), f[part])

    expected = np.cov(np.column_stack([f, z.reshape(n, -1)]), rowvar=False)
    np.testing.assert_allclose(moments.covariance(), expected[0, 1:].reshape(2, 5), atol=1e-12)
    np.testing.assert_allclose(moments.variance(), np.diag(expected)[1:].reshape(2, 5), rtol=1e-12)
    assert moments.mean_score == pytest.approx(f.mean())
    assert moments.answered == n


def test_large_images_are_summed_row_by_row() -> None:
    """An image of more values than are ever held at once still gives the right sums."""
    z = np.random.default_rng(0).integers(-9, 9, (3, 1500, 1000, 3)).astype(np.float64)
    f = np.array([1.0, 5.0, -2.0])
    moments = Moments((1500, 1000, 3))

    moments.add(Fixed(z), f)

    expected = np.tensordot(f - f.mean(), z, axes=1) / 2
    np.testing.assert_allclose(moments.covariance(), expected, atol=1e-12)


@pytest.mark.parametrize("scores", [[], [math.nan], [4.0]])
def test_below_two_answers_there_is_nothing_to_vary(scores: list[float]) -> None:
    """With no answer or one, covariance and variance are 0 rather than undefined."""
    moments = Moments((2,))

    moments.add(Fixed(np.ones((len(scores), 2))), np.array(scores))

    np.testing.assert_array_equal([moments.covariance(), moments.variance()], np.zeros((2, 2)))


@pytest.mark.parametrize("constant", [1 / 3, -7.1, 0.0])
def test_a_score_that_never_moves_has_no_covariance(constant: float) -> None:
    """No rounding is taken for a gradient: where all scores are equal, the covariance is exactly 0."""
    z = np.random.default_rng(0).normal(size=(50, 4))
    moments = Moments((4,))

    moments.add(Fixed(z), np.full(50, constant))

    assert not moments.covariance().any()
    assert moments.mean_score == constant
