"""Blockwise likelihood-ratio gradients: noise inside a random rectangle only.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", eq. 6. Every pixel is covered
with the same probability q, and only rows that covered a pixel tell about it. In expectation it is E[J g(x + J z)] / q
(theorem 2): a gradient smoothed by noise in fewer pixels.

Eq. 9 says that its variance is below that of the likelihood ratio *at equal copies for each pixel*, nq = n', because
fewer other values are perturbed beside it. That takes 1 / q times more queries. At equal queries nothing is won: for a
linear score of slope a the variance of value i is about Σ_k a_k² P(k covered | i covered) / nq, against Σ_k a_k² / n,
and P(k | i) / q is at least 1 over the photo on average. It can win for a score that noise everywhere would break.

As published ("none") the sum is divided by nq. By default ("mean") each value's scores are centred by their mean over
the rows that covered it, and divided by those rows' number in place of its expectation nq: unbiased like eq. 6, without
the variance of that number and without the f(x)² term. On uint8 that is covariance(f, z) / variance(z) over those rows,
with z as realised; centring within them keeps the mean that clipping gives to the noise from being taken for a slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.estimators._gathering import gather, gradient
from bbquery.estimators.lr import Control
from bbquery.estimators.statistics.moments import ratio
from bbquery.perturb.blocks import BlockCopies, BlockMoments, coverage
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.densities import Density, known_density
from bbquery.types import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bbquery.estimators import Gradient
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class BlockLikelihoodRatio:
    """Estimate the gradient of a score at a photo from `queries` copies with noise in one rectangle each.

    Args:
        queries: images to ask; at least 1.
        sigma: standard deviation of the noise, in grey levels of 0 to 255; above 0.
        blocks: rectangles that fit along each side of the photo; at least 1.
        density: distribution of the noise.
        control: what is taken from each score: mean, that of the images that covered the same value; or none,
            as published, with which even a score that never moves has a gradient.
        batch: images to ask at once; at least 1.

    Raises:
        UsageError: queries, blocks or batch below 1, or sigma not above 0.
        UnknownName: no such density or control.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    blocks: int = 3
    density: Density = "gaussian"
    control: Control = "mean"
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("blocks", self.blocks)
        known_density(self.density)
        if self.control not in get_args(Control):
            raise UnknownName("control", self.control, get_args(Control))
        at_least_one("batch", self.batch)

    def block(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width of a rectangle on photos of `size` (H, W), in pixels, rounded up."""
        return -(-size[0] // self.blocks), -(-size[1] // self.blocks)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for copies of x (H, W, 3) with noise in a rectangle; return the gradient, in score per grey level."""
        size = (x.shape[0], x.shape[1])
        exact = domain.dtype == "float64"
        moments = BlockMoments(x.shape)

        def add(copies: BlockCopies, scores: NDArray[np.float64]) -> None:
            for row in np.flatnonzero(~np.isnan(scores)).tolist():
                moments.add(*(copies.weights(row) if exact else copies.realised(row)), float(scores[row]))

        yield from gather(self._copies(x, domain, seed), add)
        expected = moments.answered * coverage(size, self.block(size))
        return gradient(self._slope(moments, expected if exact else None), self.queries, moments)

    def _copies(self, x: Image, domain: Domain, seed: int) -> Iterator[BlockCopies]:
        block = self.block((x.shape[0], x.shape[1]))
        for step, rows in enumerate(batches(self.queries, self.batch)):
            yield BlockCopies(x, domain, self.density, self.sigma, block, rows=rows, key=(seed, step))

    def _slope(self, moments: BlockMoments, expected: float | None) -> NDArray[np.float64]:
        """Return the estimate. expected: nq where perturbations are weights, None where they are as realised."""
        published = self.control == "none"
        weighted = moments.product() if published else moments.covariance()
        if expected is not None:
            return weighted / (expected or 1.0) if published else weighted  # eq. 6, and centred
        spread = moments.squares() if published else moments.variance()
        return ratio(weighted, spread)


METHOD = BlockLikelihoodRatio
