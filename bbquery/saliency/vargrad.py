"""VarGrad: how much the gradient varies over noisy copies of the photo, over any gradient estimator.

Adebayo et al., "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to Parameter Values", as Zhang et
al. (eq. 5) use it: M = max_c var_k g_c(x + nₖ) with n Gaussian and g estimated. A score that is linear has the same
gradient everywhere, so its map is 0: what shows is where the score bends.

An estimate at a point varies by chance too, and that variance is in the map: about |g|² / m for `lr` with m rows at a
point, the same in every pixel. So few points with many rows tell more than many with few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.noise import GaussianCopies
from bbquery.saliency._points import Spread, advice, check_split, gradients, shares
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class VarGrad:
    """How much the score's reaction to each pixel varies around the photo, by gradients estimated at noisy copies.

    Unsigned: max over channels of the variance.

    queries: rows in all, split evenly over the points. estimator: what asks at each point; its own queries do not
    count. sigma: standard deviation of the points around the photo, in grey levels (see SmoothGrad). points: how many
    noisy copies, at most. rows: the fewest rows at a point: where queries do not allow it, there are fewer points.
    With one point there is no variance, and the map is 0.

    Raises:
        UsageError: queries, points or rows below 1, sigma not above 0, or an estimator without the option queries.
    """

    queries: int = 1000
    estimator: GradientEstimator = field(default_factory=LikelihoodRatio)
    sigma: float = 38.0
    points: int = 50
    rows: int = 20

    def __post_init__(self) -> None:
        check_split(self.queries, self.rows, self.estimator)
        positive("sigma", self.sigma)
        at_least_one("points", self.points)

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers."""
        return self.estimator.adaptive

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask around noisy copies of x (H, W, 3); return the map, in squared score per grey level."""
        rows = shares(self.queries, self.points, self.rows)
        points = GaussianCopies(x, self.sigma, domain, rows=len(rows), key=(seed, 0))
        found = Spread(x.shape)
        answered = yield from gradients(self.estimator, points, rows, domain=domain, seed=seed, take=found.add)
        return SaliencyMap(
            found.variance().max(axis=-1),
            signed=False,
            unit="(score per grey level)²",
            rows=self.queries,
            answered=answered,
            notes=advice(rows, domain),
        )


METHOD = VarGrad
