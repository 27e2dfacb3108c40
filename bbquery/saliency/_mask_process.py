"""Gaussian process over visible cells: the model behind `designed`, for one choice of its parameters.

A row s has +1 for each visible cell and -1 for each hidden one. The score is link⁻¹(η(s)) and noise, where η is μ plus
a Gaussian process over rows with covariance v ((1 - q) t + q I(t)), of which

    t(s, s') = sᵀ K s' / scale                         main effects; K = exp(-d² / 2ℓ²) over the distance d of cells
    I(t)     = (exp(ct) - 1 - ct) / (exp(c) - 1 - c)    interactions of two cells and more, the rarer the more cells

So what a design aliases with main effects is not taken for certain: it is shared out by the prior, and what may be due
to interactions counts as error. μ and v are found in closed form (Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2.7 and 5.4).

What it costs. With Σ the covariance of the n rows with their noise, everything follows from Σ = L Lᵀ:

    y' = L⁻¹ y, 1' = L⁻¹ 1                 further rows of the same factorisation: the evidence takes no other
    μ = y'·1' / 1'·1', z = y' - μ 1'       v = z·z / (n - 1)
    weights L⁻ᵀ z, what is known |L⁻¹ c|²   triangular: one, and one for each c that a variance is asked of

As a function of t the covariance is a t + d (exp(ct) - 1), its slope a + dc exp(ct) and its bend d c² exp(ct). So one
exponential gives all three, and its inverse those at -t: of a row's complement. Interactions of cells leave Σ without
any rank to speak of lower than n (a basis of half of the rows gives about the map that half of the answers would), so
no approximation is made here; `_mask_regression` says what is done with many rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.perturb.designs import closeness
from bbquery.saliency._triangular import backward, forward

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EDGE = 1e-3  # the logit of 0 is taken as that of this
PROBIT = np.pi / 8  # E sigmoid(N(m, v)) ≈ sigmoid(m / sqrt(1 + π v / 8)) (MacKay, "The Evidence Framework", 1992)
HUGE = 1e300  # a variance beside which all others are nothing
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
        return self._only(np.arange(len(self.scores)) // 2 % step == 0)

    def parts(self, most: int) -> list[Data]:
        """Return the rows in as few parts of about this many as it takes, dealt out in turn, pairs kept together."""
        parts = -(-len(self.scores) // most)
        turns = np.arange(len(self.scores)) // 2 % parts
        return [self._only(turns == turn) for turn in range(parts)] if parts > 1 else [self]

    def _only(self, kept: NDArray[np.bool_]) -> Data:
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


class _Part(NamedTuple):
    """A part of a covariance, and its first and second derivative by t."""

    value: Floats
    slope: Floats
    bend: Floats


class Covariance:
    """The covariance of η over v as a function of t, a t + d (exp(ct) - 1), and its derivatives, by exp(ct)."""

    def __init__(self, settings: Settings) -> None:
        share, self._order = settings.share, settings.order
        self._of_exponential = share / (np.exp(self._order) - 1 - self._order)
        self._of_t = (1 - share) - self._order * self._of_exponential

    def exponential(self, t: Floats) -> Floats:
        """Return exp(ct); its inverse is that of -t, which a row's complement has."""
        exponential: Floats = np.exp(self._order * t)
        return exponential

    def at(self, t: Floats, exponential: Floats | None = None) -> Floats:
        """Return the covariance; exponential: exp(ct) where it is known."""
        covariance: Floats = (self.exponential(t) if exponential is None else exponential) - 1
        covariance *= self._of_exponential
        covariance += self._of_t * t
        return covariance

    def slope(self, exponential: Floats) -> Floats:
        """Return the first derivative by t."""
        slope: Floats = self._of_t + self._of_exponential * self._order * exponential
        return slope

    def parts(self, t: Floats) -> tuple[_Part, _Part]:
        """Return the even and the odd part of the covariance as a function of t."""
        c, d, exponential = self._order, self._of_exponential, self.exponential(t)
        even, odd = (exponential + 1 / exponential) / 2, (exponential - 1 / exponential) / 2
        return (
            _Part(d * (even - 1), self._of_t + d * c * even, d * c**2 * even),
            _Part(self._of_t * t + d * odd, d * c * odd, d * c**2 * odd),
        )


class Process:
    """The process given data. latent: (n,), the scores on the link's scale; slopes: (n,), of the link there.

    lower: L of the rows' covariance over v with their noise, L Lᵀ. mean: μ. variance: v. evidence: the log marginal
    likelihood of the latent scores, without constants.
    """

    def __init__(self, geometry: Geometry, latent: Floats, slopes: Floats, settings: Settings) -> None:
        self.geometry, self.settings, self.covariance = geometry, settings, Covariance(settings)
        noise = geometry.data.noise / np.maximum(slopes, EDGE) ** 2
        matrix = self.covariance.at(geometry.t)
        matrix[np.diag_indices_from(matrix)] += settings.noise * noise / noise.mean()
        self.lower, (of_latent, of_ones) = _factored(matrix, latent, np.ones_like(latent))
        self.mean = float(of_latent @ of_ones / (of_ones @ of_ones))
        self._solved: Floats = of_latent - self.mean * of_ones
        n = len(latent)
        self.variance = max(float(self._solved @ self._solved), SMALLEST) / (n - 1)
        logarithms = 2 * np.log(np.diag(self.lower)).sum()
        logarithms += (n - 1) * np.log(self.variance) + np.log(of_ones @ of_ones)
        self.evidence = -0.5 * float(logarithms)

    @functools.cached_property
    def weights(self) -> Floats:
        """Of the rows in a prediction, (n,)."""
        return backward(self.lower, self._solved)

    def known(self, covariances: Floats) -> Floats:
        """Return by how much the data lower the variance over v, (k,), of what has these covariances (n, k)."""
        solved = forward(self.lower, covariances)
        known: Floats = np.einsum("ij,ij->j", solved, solved)
        return known


def _factored(matrix: Floats, *right: Floats) -> tuple[Floats, Floats]:
    """Return L of a matrix (n, n), and L⁻¹ r of each (n,), (k, n): one factorisation gives them as further rows."""
    n, k = len(matrix), len(right)
    bordered = np.zeros((n + k, n + k))
    bordered[:n, :n] = matrix
    bordered[n:, :n] = right  # what is above the diagonal is not read
    bordered[n:, n:] = HUGE * np.eye(k)
    factor = np.asarray(np.linalg.cholesky(bordered), dtype=np.float64)
    return factor[:n, :n], factor[n:, :n]
