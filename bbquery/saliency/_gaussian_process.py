"""Gaussian process over windows; the only module that imports scikit-learn.

A state is a window (u, v, s): its centre, down and across, and its side. How far the score drops behind a window is a
Gaussian process over states, of mean 0 (hiding a window changes nothing until it is seen to) and covariance
σ² k(r / ℓ), with the Matérn kernel of ν = 5/2 (Mokuwe et al., eq. 1). An average of states may be asked for as well, as
a pixel of the map is one: its covariances are averages of the kernel's.

1. The covariances between all that is ever asked of a process are worked out once. A regression after each answer then
   only looks them up.
2. σ² multiplies every covariance and the noise, so it changes no mean, and a deviation in proportion. It is estimated
   by maximum likelihood (`Posterior.squares` over the answers) and multiplied in by the caller.
3. The deviation does not depend on the answers.
4. One thread, as `blas_threads` has it: libraries of linear algebra round differently on two. So a run that is asked
   again asks for the same windows and is served from the store, on any number of threads. A plan's steps are limited
   already, but this module brings SciPy, whose own BLAS may be loaded within one.
5. A score that never moves has values of 0, and with them a mean of exactly 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel, Matern

from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ENOUGH = 500  # observations to judge a length scale by: its cost grows with their cube
NO_AVERAGES = np.empty((0, 1, 3))


class GaussianProcess:
    """A function of states (n, 3) that may be observed, and its averages over groups of states: n + m targets.

    averages: (m, g, 3), all groups congruent: equal but for where they are. length_scale: in the unit of the states.
    noise: the variance of an answer by chance, as a share of σ².
    """

    def __init__(
        self, states: NDArray[np.float64], averages: NDArray[np.float64], *, length_scale: float, noise: float
    ) -> None:
        matern = Matern(length_scale, nu=2.5)
        group = averages[0] if len(averages) else states[:1]
        of_averages = sum(matern(states, averages[:, i]) for i in range(len(group))) / len(group)
        self.targets, self._noise = len(states) + len(averages), noise
        self._known = KnownCovariances(
            np.hstack([matern(states), of_averages]),
            np.concatenate([np.ones(len(states)), np.full(len(averages), matern(group).mean())]),
        )

    def given(self, states: list[int], values: list[float]) -> Posterior:
        """Return what is known once these states (one or more, by number) are observed to have these values."""
        return Posterior(self._known, self._noise, states, values)


class Posterior:
    """A process conditioned on observations of some of its states."""

    def __init__(self, known: KnownCovariances, noise: float, states: list[int], values: list[float]) -> None:
        self._regressor = GaussianProcessRegressor(known, alpha=noise, optimizer=None)
        with one_blas_thread:
            self._regressor.fit(np.array(states)[:, None], np.array(values))

    def mean(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what is expected of these targets, by number: (n,)."""
        with one_blas_thread:
            mean: NDArray[np.float64] = self._regressor.predict(targets[:, None])
        return mean

    def deviation(self, targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the standard deviation of these targets, by number, in units of σ: (n,)."""
        with one_blas_thread:
            deviation: NDArray[np.float64] = self._regressor.predict(targets[:, None], return_std=True)[1]
        return deviation

    @property
    def squares(self) -> float:
        """The values' yᵀ (K + noise)⁻¹ y: over their number it is the σ² that makes them likeliest; 0 if all are 0."""
        return float((self._regressor.y_train_ * self._regressor.alpha_).sum())

    @property
    def log_likelihood(self) -> float:
        """Of the values at their own σ², up to a constant; 0 where they have no variance to be explained."""
        n, squares = len(self._regressor.y_train_), self.squares
        if not squares:
            return 0.0
        at_one = float(self._regressor.log_marginal_likelihood_value_)  # -½ squares - ½ log |K + noise|, as σ² is 1
        return at_one + 0.5 * squares - 0.5 * n * math.log(squares / n)


class KnownCovariances(Kernel):  # type: ignore[misc] # scikit-learn has no types
    """A kernel of scikit-learn's over numbers (n, 1) of targets, whose covariances are looked up.

    between: (states, targets), covariances; the states are the first of the targets. variances: (targets,).
    """

    def __init__(self, between: NDArray[np.float64], variances: NDArray[np.float64]) -> None:
        self.between, self.variances = between, variances

    def __call__(self, X: NDArray[np.int64], Y: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return the covariances (n, m) of targets X (n, 1) with states Y (m, 1), by default X themselves."""
        states, targets = (X if Y is None else Y)[:, 0], X[:, 0]
        if len(targets) == self.between.shape[1] and (np.diff(targets) == 1).all():
            return self.between[states].T  # all of them in order: nothing needs to be picked
        return self.between[np.ix_(states, targets)].T

    def diag(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the variances (n,) of targets X (n, 1)."""
        return self.variances[X[:, 0]]

    def is_stationary(self) -> bool:
        """Return False: the numbers of targets do not tell their distances."""
        return False

    def __sklearn_clone__(self) -> KnownCovariances:
        """Return itself: there is nothing to be fitted, and a copy for each regression would take its time."""
        return self


def likeliest_length_scale(
    scales: Sequence[float], states: NDArray[np.float64], values: NDArray[np.float64], noise: float
) -> float:
    """Return which of these length scales makes the values (n,) at states (n, 3) likeliest; the first of equals.

    A choice among few, where an optimiser's last bits would depend on the machine. The first `ENOUGH` are looked at.
    """
    states, values = states[:ENOUGH], values[:ENOUGH]

    def likelihood(length_scale: float) -> float:
        process = GaussianProcess(states, NO_AVERAGES, length_scale=length_scale, noise=noise)
        return process.given(list(range(len(states))), values.tolist()).log_likelihood

    return max(scales, key=likelihood)
