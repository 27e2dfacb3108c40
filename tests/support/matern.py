"""The Gaussian process of windows written out with NumPy alone: what the tests hold the library's answers to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def covariance(a: Array, b: Array, length_scale: float) -> Array:
    """Return the Matérn covariance of ν = 5/2 in closed form: (n, 3), (m, 3) to (n, m)."""
    r = math.sqrt(5) * np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1)) / length_scale
    found: Array = (1 + r + r**2 / 3) * np.exp(-r)
    return found


def solved(at: Array, states: Array, values: Array, *, length_scale: float, noise: float) -> tuple[Array, Array]:
    """Return mean, and variance in units of σ², of averages (m, g, 3) of states, by solving with the Gram matrix."""
    gram = covariance(states, states, length_scale) + noise * np.eye(len(states))
    across = covariance(at.reshape(-1, 3), states, length_scale).reshape(*at.shape[:2], -1).mean(axis=1)
    prior = np.array([covariance(group, group, length_scale).mean() for group in at])
    mean: Array = across @ np.linalg.solve(gram, values)
    return mean, np.maximum(prior - (across.T * np.linalg.solve(gram, across.T)).sum(axis=0), 0)


def scale_of(states: Array, values: Array, *, length_scale: float, noise: float) -> float:
    """Return σ² by maximum likelihood."""
    gram = covariance(states, states, length_scale) + noise * np.eye(len(states))
    return float(values @ np.linalg.solve(gram, values)) / len(values)
