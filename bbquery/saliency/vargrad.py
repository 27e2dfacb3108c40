"""VarGrad: the variance of the gradient over noisy copies of the photo, with any gradient estimator.

Adebayo et al., "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to Parameter Values", as Zhang et
al. (eq. 5) use it: M = max_c var_k g_c(x + nₖ) with n Gaussian and g estimated. A score that is linear has the same
gradient everywhere, so its map is 0: what shows is where the score bends.

An estimate at a point varies by chance too, and that variance is in the map: about |g|² / m for `lr` with m rows at a
point, the same in every pixel. So few points with many rows tell more than many with few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.estimators import GradientEstimator  # noqa: F401 - load reads inherited annotations here
from bbquery.saliency._noisy_points import NoisyPoints
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class VarGrad(NoisyPoints):
    """Explain a score by how much its gradient varies around the photo, estimated at noisy copies.

    Unsigned: max over channels of the variance.

    Args:
        queries: images to ask in all, split evenly over the points; at least 1.
        estimator: what asks at each point; its own number of queries does not count.
        sigma: standard deviation of the points around the photo, in grey levels (see SmoothGrad); above 0.
        points: noisy copies, at most; with one there is no variance, and the map is 0; at least 1.
        rows: the fewest images at a point: where queries do not allow it, there are fewer points; at least 1.

    Raises:
        UsageError: queries, points or rows below 1, sigma not above 0, or an estimator without the option queries.
    """

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask around noisy copies of x (H, W, 3); return the map, in squared score per grey level."""
        found = yield from self.found(x, domain, seed)
        return SaliencyMap(
            found.spread.variance().max(axis=-1),
            signed=False,
            unit="(score per grey level)²",
            rows=self.queries,
            answered=found.answered,
            notes=found.notes,
        )


METHOD = VarGrad
