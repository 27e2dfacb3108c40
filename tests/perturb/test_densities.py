from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from bbquery.perturb.densities import Density, draw, score_function

NAMES = get_args(Density)
SIGMA = 7.0
SCALE = {"gaussian": SIGMA, "laplace": SIGMA / math.sqrt(2), "logistic": SIGMA * math.sqrt(3) / math.pi}


def cumulative(name: Density, z: float) -> float:
    """Return the distribution function, by its textbook formula."""
    u = z / SCALE[name]
    if name == "gaussian":
        return (1 + math.erf(u / math.sqrt(2))) / 2
    if name == "laplace":
        return math.exp(u) / 2 if u < 0 else 1 - math.exp(-u) / 2
    return 1 / (1 + math.exp(-u))


def log_density(name: Density, z: float) -> float:
    """Return the logarithm of the density but for a constant, by its textbook formula."""
    u = z / SCALE[name]
    if name == "gaussian":
        return -u * u / 2
    if name == "laplace":
        return -abs(u)
    return -u - 2 * math.log1p(math.exp(-u))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_density_they_are_named_after(name: Density, dtype: type[np.float32 | np.float64]) -> None:
    """The distance to the distribution function is within chance (Kolmogorov-Smirnov), and σ is as stated."""
    n = 20_000

    z = np.sort(draw(name, SIGMA, (n,), np.random.default_rng(3), dtype))

    assert z.dtype == dtype
    distance = np.abs(np.array([cumulative(name, float(v)) for v in z]) - (np.arange(n) + 0.5) / n).max()
    assert distance < 1.63 / math.sqrt(n)  # exceeded once in a hundred
    assert z.std() == pytest.approx(SIGMA, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_score_function_is_minus_the_derivative_of_the_log_density(name: Density) -> None:
    """It equals the numerical derivative of the density's logarithm."""
    z = np.array([-30.0, -5.0, -0.3, 0.2, 4.0, 21.0])

    found = score_function(name, SIGMA, z)

    slopes = [(log_density(name, v + 1e-5) - log_density(name, v - 1e-5)) / 2e-5 for v in z]
    np.testing.assert_allclose(found, np.negative(slopes), rtol=1e-6)


class Zeros:
    """A generator that draws the lowest value there is."""

    def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.zeros(shape, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["laplace", "logistic"])
def test_no_draw_is_infinite(name: Density, dtype: type[np.float32 | np.float64]) -> None:
    """A uniform draw of exactly 0, of which there is one in millions, gives a large but finite value."""
    z = draw(name, 1.0, (2,), Zeros(), dtype)  # type: ignore[arg-type] # all that draw uses of a generator

    assert np.isfinite(z).all()
    assert np.abs(z).min() > 5
