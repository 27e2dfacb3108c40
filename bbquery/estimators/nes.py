"""NES, the estimator of GEEX: mirrored Gaussian masks that all colour channels share, whole or enlarged (GERS).

Cai and Wunder, "On Gradient-like Explanation under a Black-box Setting". A mask m changes the three values of a pixel
alike, so what is found is η = Σ_c ∂E f / ∂x_c, their sum, from a third of the unknowns. As the values of the three
channels η / 3 is returned: the gradient's projection on what masks can express, with which Σ_c g_c (x - x°)_c is the
paper's attribution η times the mean of (x - x°). Three departures from the published code:

1. There masks are N(0, ¼), asked as x + σ m and weighed by m / σ², which is the gradient times a constant, σ / 4 in its
   units. Here sigma is the deviation of what is added, and η is the gradient itself.
2. Pairs are regressed on what was realised, so uint8 pixels near 0 and 255 keep their slope.
3. Masks drawn at `resize` of the photo's sides and enlarged bilinearly (GERS) are scaled to the same deviation in every
   pixel. The weighted mean of a pixel's neighbours' slopes comes back, with the correlation of their noise as weights,
   which sum to 1: a slope that is the same everywhere comes back as it is.

The estimator holds at any point, so integrated gradients over it, which ask it along a path, are iGEEX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.estimators._gathering import Pairs, gather, gradient, mirrored_batches
from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.shared_noise import GreyCopies, GreyNoise, at_most_whole

if TYPE_CHECKING:
    from bbquery.estimators import Gradient
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class NaturalEvolution:
    """Estimate the gradient of a score at a photo, alike in all channels, from `queries` copies in mirrored pairs.

    Args:
        queries: images to ask; at least 1.
        sigma: standard deviation of what is added to a pixel, in grey levels of 0 to 255; above 0.
        resize: sides of the masks that are drawn, over the photo's, to be enlarged bilinearly; above 0, at most
            1.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, sigma not above 0, or resize not above 0 to 1.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    resize: float = 1.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_most_whole("resize", self.resize)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for pairs of copies of x (H, W, 3); return the gradient, same shape, in score per grey level."""
        size = (x.shape[0], x.shape[1])
        noise = GreyNoise(size, self.sigma, self.resize, domain)
        moments = PairedMoments(size)

        def masks(pairs: Pairs) -> Change:
            return noise.change(rows=pairs.rows, key=(seed, pairs.step))

        batches = mirrored_batches(x, domain, masks, queries=self.queries, batch=self.batch, copies=GreyCopies)
        yield from gather(batches, moments.add)
        exact = domain.dtype == "float64"
        summed = (moments.weighted() / self.sigma**2 if exact else moments.slope()) / noise.correlations()
        values = np.repeat(summed[..., None] / x.shape[-1], x.shape[-1], axis=-1)
        return gradient(values, self.queries, moments)


METHOD = NaturalEvolution
