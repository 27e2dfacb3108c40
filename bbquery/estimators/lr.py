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

On a float domain the noise is sent as drawn: eq. 2 as published, centred. It holds for any density with a known score
function. On uint8, covariance(f, z) / variance(z) is used for all of them: unbiased for a linear score, and beyond that
the slope of the line that fits the score best under this noise: for Gaussian noise without clipping, eq. 2 again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

from bbquery.errors import UnknownName, UsageError
from bbquery.estimators._gathering import Pairs, gather, gradient, mirrored_batches
from bbquery.estimators.statistics.moments import Moments, ratio
from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.added import AddedCopies
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.densities import Density, known_density, score_function
from bbquery.perturb.noise import noise
from bbquery.types import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.estimators import Gradient
    from bbquery.estimators.statistics.moments import Perturbed
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Control: TypeAlias = Literal["mean", "none"]


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio:
    """Estimate the gradient of a score at a photo from `queries` noisy copies.

    Args:
        queries: images to ask; at least 1.
        sigma: standard deviation of the noise, in grey levels of 0 to 255: a small one finds the gradient, a
            large one that of a smoothed score, and below about 1 rounding to uint8 eats the noise; above 0.
        batch: images to ask at once; at least 1.
        density: distribution of the noise.
        control: what is taken from each score: mean, that of the other images; or none, as published, with
            which even a score that never moves has a gradient.
        antithetic: whether each noise is asked with its negative, half as many different ones: that wins only
            where curvature outweighs slope; a pair is its own control, so it takes no other.

    Raises:
        UsageError: queries or batch below 1, sigma not above 0, or pairs without control.
        UnknownName: no such density or control.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    batch: int = 256
    density: Density = "gaussian"
    control: Control = "mean"
    antithetic: bool = False

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("batch", self.batch)
        known_density(self.density)
        if self.control not in get_args(Control):
            raise UnknownName("control", self.control, get_args(Control))
        if self.antithetic and self.control == "none":
            raise UsageError("antithetic pairs are their own control: leave control at its default, or antithetic out")

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for noisy copies of x (H, W, 3); return d E[value] / dx, same shape, in score per grey level."""
        moments = PairedMoments(x.shape) if self.antithetic else Moments(x.shape)
        copies = self._pairs(x, domain, seed) if self.antithetic else self._copies(x, domain, seed)

        def add(noisy: AddedCopies, scores: NDArray[np.float64]) -> None:
            moments.add(self._weights(noisy, domain), scores)

        yield from gather(copies, add)
        return gradient(self._slope(moments, domain), self.queries, moments)

    def _copies(self, x: Image, domain: Domain, seed: int) -> Iterator[AddedCopies]:
        for step, rows in enumerate(batches(self.queries, self.batch)):
            change = noise(x, self.density, self.sigma, domain, rows=rows, key=(seed, step))
            yield AddedCopies(x, domain, change, rows=rows)

    def _pairs(self, x: Image, domain: Domain, seed: int) -> Iterator[AddedCopies]:
        def noisy(pairs: Pairs) -> Change:
            return noise(x, self.density, self.sigma, domain, rows=pairs.rows, key=(seed, pairs.step))

        return mirrored_batches(x, domain, noisy, queries=self.queries, batch=self.batch)

    def _weights(self, noisy: AddedCopies, domain: Domain) -> Perturbed:
        """Return what scores are weighed by: σ² times the score function where that is exact, else the noise."""
        if domain.dtype == "uint8" or self.density == "gaussian":
            return noisy
        return _Weights(noisy, self.density, self.sigma)

    def _slope(self, moments: Moments | PairedMoments, domain: Domain) -> NDArray[np.float64]:
        if isinstance(moments, PairedMoments):
            return moments.weighted() / self.sigma**2 if domain.dtype == "float64" else moments.slope()
        published = self.control == "none"
        weighted = moments.product() if published else moments.covariance()
        if domain.dtype == "float64":
            return weighted / self.sigma**2  # eq. 2
        spread = moments.squares() / max(moments.answered, 1) if published else moments.variance()
        return ratio(weighted, spread)


class _Weights:
    """σ² times the score function of noise that was sent as drawn."""

    def __init__(self, noisy: AddedCopies, density: Density, sigma: float) -> None:
        self._noisy, self._density, self._sigma = noisy, density, sigma

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return the weights of copy `row`."""
        return score_function(self._density, self._sigma, self._noisy.realised(row)) * self._sigma**2


METHOD = LikelihoodRatio
