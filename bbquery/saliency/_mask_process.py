"""Gaussian process over visible cells: the model behind `designed`, for one choice of its parameters.

A row s has +1 for each visible cell and -1 for each hidden one. The score is link⁻¹(η(s)) and noise, where η is μ plus
a Gaussian process over rows with covariance v ((1 - q) t + q I(t)), of which

    t(s, s') = sᵀ K s' / scale                         main effects; K = exp(-d² / 2ℓ²) over the distance d of cells
    I(t)     = (exp(ct) - 1 - ct) / (exp(c) - 1 - c)    interactions of two cells and more, the rarer the more cells

So what a design aliases with main effects is not taken for certain: it is shared out by the prior, and what may be due
to interactions counts as error. μ and v are found in closed form (Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2.7 and 5.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.perturb.designs import closeness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EDGE = 1e-3  # the logit of 0 is taken as that of this
PROBIT = np.pi / 8  # E sigmoid(N(m, v)) ≈ sigmoid(m / sqrt(1 + π v / 8)) (MacKay, "The Evidence Framework", 1992)
SMALLEST = 1e-300  # a variance whose logarithm exists


class Settings(NamedTuple):
    """The numbers of a process.

    length: ℓ, in sides of a cell; 0 for cells that know nothing of each other. order: c. share: q. noise: its mean
    variance over v.
    """

    length: float = 0.0
    order: float = 1.5
    share: float = 0.3
    noise: float = 1e-3


@dataclass(frozen=True, eq=False)
class Data:
    """rows: (n, cells) of +1 and -1. scores: (n,), all answered. noise: (n,), relative variances. centres: of cells."""

    rows: Floats
    scores: Floats
    noise: Floats
    centres: Floats

    def thinned(self, most: int) -> Data:
        """Return at most about this many of the rows, pairs kept together."""
        step = -(-len(self.scores) // most)
        kept = np.arange(len(self.scores)) // 2 % step == 0
        return Data(self.rows[kept], self.scores[kept], self.noise[kept], self.centres)


@dataclass(frozen=True, eq=False)
class Link:
    """A scale on which effects add up.

    to: from scores to latent ones. back: the inverse. slope, bend: the first and second derivative of `back`, by the
    score. narrowing: by how much a latent variance draws the mean score towards the middle.
    """

    to: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    bend: Callable[[Floats], Floats]
    narrowing: float


def _logit(scores: Floats) -> Floats:
    inner = EDGE + (1 - 2 * EDGE) * scores
    latent: Floats = np.log(inner / (1 - inner))
    return latent


def _sigmoid(latent: Floats) -> Floats:
    scores: Floats = (0.5 + 0.5 * np.tanh(latent / 2) - EDGE) / (1 - 2 * EDGE)
    return scores


def _sigmoid_slope(scores: Floats) -> Floats:
    inner = EDGE + (1 - 2 * EDGE) * scores
    return inner * (1 - inner) / (1 - 2 * EDGE)


def _sigmoid_bend(scores: Floats) -> Floats:
    inner = EDGE + (1 - 2 * EDGE) * scores
    return inner * (1 - inner) * (1 - 2 * inner) / (1 - 2 * EDGE)


IDENTITY = Link(np.array, np.array, np.ones_like, np.zeros_like, 0.0)
LOGIT = Link(_logit, _sigmoid, _sigmoid_slope, _sigmoid_bend, PROBIT)


class Geometry:
    """Covariances of the rows of data, under one length scale of smoothness.

    kernel: K over its scale, (cells, cells). seen: (n, cells), rows times that. t: (n, n).
    """

    def __init__(self, data: Data, length: float) -> None:
        self.data, self.length = data, length
        kernel = closeness(data.centres, length) if length else np.eye(len(data.centres))
        seen = data.rows @ kernel
        scale = float(np.einsum("ij,ij->i", seen, data.rows).mean())
        self.kernel: Floats = kernel / scale
        self.seen: Floats = seen / scale
        self.t: Floats = self.seen @ data.rows.T


class Process:
    """The process given data. latent: (n,), the scores on the link's scale; slopes: (n,), of the link there.

    weights: (n,), of the rows in a prediction. mean: μ. variance: v. evidence: the log marginal likelihood of the
    latent scores, without constants.
    """

    def __init__(self, geometry: Geometry, latent: Floats, slopes: Floats, settings: Settings) -> None:
        self.geometry, self.settings, self.latent = geometry, settings, latent
        noise = geometry.data.noise / np.maximum(slopes, EDGE) ** 2
        self.matrix = self.covariance(geometry.t) + np.diag(settings.noise * noise / noise.mean())
        self._solve()

    def _solve(self) -> None:
        n = len(self.latent)
        root = np.linalg.cholesky(self.matrix)
        of_latent, of_ones = np.linalg.solve(self.matrix, np.stack([self.latent, np.ones(n)], axis=1)).T
        self.mean = float(of_latent.sum() / of_ones.sum())
        self.weights: Floats = of_latent - self.mean * of_ones
        self.variance = max(float((self.latent - self.mean) @ self.weights), SMALLEST) / (n - 1)
        logarithms = 2 * np.log(np.diag(root)).sum() + (n - 1) * np.log(self.variance) + np.log(of_ones.sum())
        self.evidence = -0.5 * float(logarithms)

    def covariance(self, t: Floats) -> Floats:
        """Return the covariance of η, over v, at these t."""
        share, order = self.settings.share, self.settings.order
        interactions = (np.exp(order * t) - 1 - order * t) / (np.exp(order) - 1 - order)
        covariance: Floats = (1 - share) * t + share * interactions
        return covariance

    def slope(self, t: Floats) -> Floats:
        """Return the first derivative of the covariance at these t."""
        share, order = self.settings.share, self.settings.order
        slope: Floats = (1 - share) + share * order * (np.exp(order * t) - 1) / (np.exp(order) - 1 - order)
        return slope

    def bend(self, t: Floats) -> Floats:
        """Return the second derivative of the covariance at these t."""
        share, order = self.settings.share, self.settings.order
        bend: Floats = share * order**2 * np.exp(order * t) / (np.exp(order) - 1 - order)
        return bend
