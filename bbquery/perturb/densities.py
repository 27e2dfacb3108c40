"""Densities of noise with a known score function, each by its standard deviation σ.

gaussian   -(ln μ)'(z) = z / σ²
laplace    -(ln μ)'(z) = sign(z) / b            with b = σ / √2
logistic   -(ln μ)'(z) = tanh(z / 2s) / s       with s = σ √3 / π

By Stein's identity E f(x + z) times that is the mean derivative E f'(x + z), for any f that grows slower than 1 / μ
(Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", theorem 1).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UnknownName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.added import Floats

Density: TypeAlias = Literal["gaussian", "laplace", "logistic"]


def known_density(name: str) -> None:
    """Check that `name` is a density.

    Raises:
        UnknownName: it is none.
    """
    if name not in get_args(Density):
        raise UnknownName("density", name, get_args(Density))


def draw(
    name: Density, sigma: float, shape: tuple[int, ...], rng: np.random.Generator, dtype: Floats
) -> NDArray[np.floating[Any]]:
    """Return independent values of this density and standard deviation, of the given shape and type."""
    if name == "gaussian":
        noise: NDArray[np.floating[Any]] = rng.standard_normal(shape, dtype=dtype)
        noise *= sigma
        return noise
    if name == "laplace":  # an exponential with a random sign
        noise = np.log(_inside(rng.random(shape, dtype=dtype)))
        noise *= sigma / math.sqrt(2)
        return np.asarray(np.negative(noise, out=noise, where=rng.random(shape, dtype=np.float32) < 0.5))
    uniform = _inside(rng.random(shape, dtype=dtype))
    noise = np.log(uniform) - np.log1p(-uniform)
    noise *= sigma * math.sqrt(3) / math.pi
    return noise


def _inside(uniform: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Move 0, whose logarithm is infinite, to half of the next value; 1 is never drawn."""
    return np.asarray(np.maximum(uniform, np.finfo(uniform.dtype).eps / 4, out=uniform))


def score_function(name: Density, sigma: float, z: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return -(ln μ)'(z), of the shape of z, in 1 / grey level."""
    if name == "gaussian":
        return z / sigma**2
    if name == "laplace":
        return np.asarray(np.sign(z) * (math.sqrt(2) / sigma))
    scale = sigma * math.sqrt(3) / math.pi
    return np.asarray(np.tanh(z / (2 * scale)) / scale)
