"""A Gaussian process over windows, conditioned on one answer after another, and the map that it implies.

A state is a window (u, v, s): its centre, down and across, and its side, in units of which the photo's shorter side has
`AT_SIDE`. How far the score drops behind a window is a Gaussian process over states, of mean 0 (hiding a window changes
nothing until it is seen to) and covariance σ² k(r / ℓ), with the Matérn kernel of ν = 5/2:

    k(a) = (1 + √5 a + 5 a² / 3) exp(-√5 a)                        (Mokuwe et al., eq. 1, in closed form)

Conditioning is the Cholesky factorisation of K + noise I = L Lᵀ, a row at a time. Let V be L⁻¹ times the covariances
between what was observed and all targets. Observation i at target t adds row i of V, from the rows before it alone:

    Vᵢ = (k(t, ·) - Σⱼ Vⱼ(t) Vⱼ) / dᵢ,   dᵢ² = variance(t) + noise
    variance(·) -= Vᵢ²,   mean(·) += bᵢ Vᵢ,   bᵢ = (yᵢ - mean(t)) / dᵢ

1. The variance does not depend on the answers: a window can be counted as observed before its answer is there. So
   batches are chosen ahead of their answers, and a window that is refused is not asked for again: b = 0, as expected.
2. The b are independent and of variance σ²: their mean square is the maximum-likelihood estimate of σ², and with it the
   likelihood is known too.
3. Sums run in a fixed order, without a threaded product: the same bits on any number of threads, so that a run that is
   asked again chooses the same windows.
4. A score that never moves has y = 0, hence b = 0 and a mean of exactly 0.

A target may also be an average of states, as a pixel of the map is: its covariances are averages of the kernel's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_SIDE = 224.0  # the photos of the paper, in whose pixels its windows and length scale are given

PAPERS_LENGTH_SCALE = 12.0  # Mokuwe et al., section IV-A
LENGTH_SCALES = tuple(PAPERS_LENGTH_SCALE * 2 ** (step / 2) for step in range(-2, 8))  # 6 to 136
ENOUGH = 500  # observations to judge a length scale by: its cost grows with their cube
NO_AVERAGES = np.empty((0, 1, 3))


def matern(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Matérn kernel of ν = 5/2 at these squared distances, in length scales: 1 at 0."""
    a = np.sqrt(5 * squares)
    kernel: NDArray[np.float64] = (1 + a + a * a / 3) * np.exp(-a)
    return kernel


class GaussianProcess:
    """The posterior of a function at states (n, 3) that may be observed, and of its averages over groups of states.

    averages: (m, g, 3), all groups congruent: equal but for where they are. length_scale: in the unit of the states.
    noise: the variance of an answer by chance, as a share of σ². most: how many observations there may be.
    mean, variance: (n + m,), of the states and then of the averages; the variance in units of σ².
    """

    def __init__(
        self,
        states: NDArray[np.float64],
        averages: NDArray[np.float64],
        *,
        length_scale: float,
        noise: float,
        most: int,
    ) -> None:
        self._states, self._averages, self._noise = states / length_scale, averages / length_scale, noise
        group = self._averages[:1]
        of_average = matern(_squares(group[:, :, None] - group[:, None])).mean(axis=(1, 2))
        self.variance = np.concatenate([np.ones(len(states)), np.repeat(of_average, len(averages))])
        self.mean = np.zeros(len(self.variance))
        self._v = np.empty((most, len(self.mean)))
        self._at: list[int] = []
        self._d: list[float] = []
        self._sum_bb, self._sum_log_d, self._learnt = 0.0, 0.0, 0

    def observe(self, state: int) -> int:
        """Count a state as observed, the mean staying what it is; return the observation's number."""
        i, d = len(self._at), math.sqrt(max(self.variance[state], 0.0) + self._noise)
        known = np.einsum("j,jt->t", self._v[:i, state], self._v[:i])
        self._v[i] = (self._covariance(state) - known) / d
        self.variance -= self._v[i] ** 2
        self._at.append(state)
        self._d.append(d)
        return i

    def learn(self, observation: int, value: float) -> None:
        """Take in the answer to an observation. Answers come in the order of the observations; some never come."""
        b = self._surprise(observation, value, self.mean)
        self.mean += b * self._v[observation]
        self._sum_bb += b * b
        self._sum_log_d += math.log(self._d[observation])
        self._learnt += 1

    def supposing(self, observation: int, value: float, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a mean (n + m,) that rests on the observations before would be if this were the answer."""
        supposed: NDArray[np.float64] = mean + self._surprise(observation, value, mean) * self._v[observation]
        return supposed

    def _surprise(self, observation: int, value: float, mean: NDArray[np.float64]) -> float:
        return (value - float(mean[self._at[observation]])) / self._d[observation]

    @property
    def scale(self) -> float:
        """σ², by maximum likelihood of the answers so far; 0 without an answer."""
        return self._sum_bb / max(self._learnt, 1)

    @property
    def log_likelihood(self) -> float:
        """Of the answers so far, at their own σ², up to a constant; 0 where they have no variance to be explained."""
        return -0.5 * self._learnt * math.log(self.scale) - self._sum_log_d if self.scale else 0.0

    def _covariance(self, state: int) -> NDArray[np.float64]:
        own = matern(_squares(self._states - self._states[state]))
        averages: NDArray[np.float64] = matern(_squares(self._averages - self._states[state])).mean(axis=1)
        return np.concatenate([own, averages])


def likeliest_length_scale(states: NDArray[np.float64], values: NDArray[np.float64], noise: float) -> float:
    """Return which of `LENGTH_SCALES` makes the values (n,) at states (n, 3) likeliest; the smallest of equals.

    A choice among few, where an optimiser's last bits would depend on the machine. The first `ENOUGH` are looked at.
    """
    states, values = states[:ENOUGH], values[:ENOUGH]

    def likelihood(length_scale: float) -> float:
        process = GaussianProcess(states, NO_AVERAGES, length_scale=length_scale, noise=noise, most=len(states))
        for row, value in enumerate(values.tolist()):
            process.learn(process.observe(row), value)
        return process.log_likelihood

    return max(LENGTH_SCALES, key=likelihood)


def _squares(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("...i,...i->...", differences, differences)
    return squares
