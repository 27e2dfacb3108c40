"""SmoothGrad: the mean gradient at noisy copies of the photo, over any gradient estimator.

Smilkov et al., "SmoothGrad: removing noise by adding noise", as Zhang et al. (eq. 5) use it: M = max_c |mean_k g_c(x +
nₖ)| with n Gaussian and g estimated. An estimator that adds noise of its own smooths as well: with `lr` the map is that
of the score smoothed by both, of variance sigma² + estimator.sigma². So it is `vanilla` with a wider noise, of which
the part that `estimator.sigma` leaves to `sigma` is sampled at a few points only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.noise import GaussianCopies
from bbquery.saliency._points import Spread, advice, check_split, gradients, shares
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class SmoothGrad:
    """How strongly the score reacts to each pixel around the photo, by gradients estimated at noisy copies of it.

    Unsigned, like the vanilla gradient: max over channels of the mean gradient's magnitude.

    queries: rows in all, split evenly over the points. estimator: what asks at each point; its own queries do not
    count. sigma: standard deviation of the points around the photo, in grey levels; the default is 15 % of the range,
    as Smilkov et al. recommend, and 58 is the variance of 1 that Zhang et al. use on normalised pixels. points: how
    many noisy copies, at most. rows: the fewest rows at a point: where queries do not allow it, there are fewer points.

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
        """Ask around noisy copies of x (H, W, 3); return the map, in score per grey level."""
        rows = shares(self.queries, self.points, self.rows)
        points = GaussianCopies(x, self.sigma, domain, rows=len(rows), key=(seed, 0))
        found = Spread(x.shape)
        answered = yield from gradients(self.estimator, points, rows, domain=domain, seed=seed, take=found.add)
        values, error = _strongest(found)
        return SaliencyMap(
            values,
            signed=False,
            unit="score per grey level",
            rows=self.queries,
            answered=answered,
            standard_error=error,
            notes=advice(rows, domain),
        )


def _strongest(found: Spread) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the largest magnitude over the channels (H, W), and the standard error of the channel that has it."""
    channel = np.abs(found.mean).argmax(axis=-1)[..., None]
    values = np.take_along_axis(np.abs(found.mean), channel, axis=-1)[..., 0]
    error = found.standard_error()
    return values, None if error is None else np.take_along_axis(error, channel, axis=-1)[..., 0]


METHOD = SmoothGrad
