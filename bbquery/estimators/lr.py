"""Likelihood-ratio gradients (Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation").

For Gaussian noise z, E f(x + z) z / σ² is the gradient of the smoothed score E f(x + z) (eq. 2, theorem 1): no backward
pass, only answers. Two departures from the paper, both free in queries:

1. Scores are centred by the mean of the *other* rows. That keeps the estimate unbiased and removes the f(x)² term of
   the paper's variance (eq. 21): for a linear score of slope a over n rows, (|a|² + aᵢ²) / (n - 1) is left of value i.
2. On uint8 pixels z is what was *sent* minus x, and σ² is its variance in each value. Clipping near 0 and 255 shrinks
   that variance and gives z a mean, so both moments are centred: covariance(f, z) / variance(z). For a linear score
   that is unbiased whatever clipping and rounding do, as values are perturbed independently of each other. Dividing the
   intended noise by the intended σ² would lose half of the gradient at 0 and at 255. Where a value never moved, nothing
   was learnt and its gradient is 0.

On a float domain the noise is sent as drawn and σ² is known: eq. 2 as published, centred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.estimators import Gradient
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.moments import Moments
from bbquery.perturb.noise import GaussianCopies
from bbquery.plan import Ask, Stopped
from bbquery.types import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio:
    """Estimate the gradient of a score at a photo from `queries` noisy copies.

    sigma: standard deviation of the noise, in grey levels (0 to 255). A small one finds the gradient, a large one that
    of a smoothed score; below about 1, rounding to uint8 eats the noise. batch: how many copies are asked at once.

    Raises:
        UsageError: queries or batch below 1, or sigma not above 0.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for noisy copies of x (H, W, 3); return d E[value] / dx, same shape, in score per grey level."""
        moments = Moments(x.shape)
        for step, rows in enumerate(batches(self.queries, self.batch)):
            noisy = GaussianCopies(x, self.sigma, domain, rows=rows, key=(seed, step))
            try:
                scores = yield Ask(noisy)
            except Stopped as stop:
                moments.add(noisy, stop.scores.value)  # every paid answer counts
                break
            moments.add(noisy, scores.value)
        return Gradient(self._slope(moments, domain), self.queries, moments.answered, moments.mean_score)

    def _slope(self, moments: Moments, domain: Domain) -> NDArray[np.float64]:
        covariance = moments.covariance()
        if domain.dtype == "float64":
            return covariance / self.sigma**2  # eq. 2, centred
        variance = moments.variance()
        return np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 0)


METHOD = LikelihoodRatio
