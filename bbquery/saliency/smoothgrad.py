"""SmoothGrad: the mean gradient at noisy copies of the photo, with any gradient estimator.

Smilkov et al., "SmoothGrad: removing noise by adding noise", as Zhang et al. (eq. 5) use it: M = max_c |mean_k g_c(x +
nₖ)| with n Gaussian and g estimated. An estimator that adds noise of its own smooths as well: with `lr` the map is that
of the score smoothed by both, of variance sigma² + estimator.sigma². So it is `vanilla` with a wider noise, of which
the part that `estimator.sigma` leaves to `sigma` is sampled at a few points only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.estimators import GradientEstimator  # noqa: F401 - load reads inherited annotations here
from bbquery.saliency._noisy_points import NoisyPoints
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.saliency._points import Spread
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(NoisyPoints):
    """Explain a score by how strongly it reacts to each pixel, by gradients estimated at noisy copies of the photo.

    Unsigned, like the vanilla gradient: max over channels of the mean gradient's magnitude.

    Args:
        queries: images to ask in all, split evenly over the points; at least 1.
        estimator: what asks at each point; its own number of queries does not count.
        sigma: standard deviation of the points around the photo, in grey levels: 15 % of the range is what
            Smilkov et al. recommend, and 58 the variance of 1 that Zhang et al. use on normalised pixels; above
            0.
        points: noisy copies, at most; at least 1.
        rows: the fewest images at a point: where queries do not allow it, there are fewer points; at least 1.

    Raises:
        UsageError: queries, points or rows below 1, sigma not above 0, or an estimator without the option queries.
    """

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask around noisy copies of x (H, W, 3); return the map, in score per grey level."""
        found = yield from self.found(x, domain, seed)
        values, error = _strongest(found.spread)
        return SaliencyMap(
            values,
            signed=False,
            unit="score per grey level",
            rows=self.queries,
            answered=found.answered,
            standard_error=error,
            notes=found.notes,
        )


def _strongest(spread: Spread) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the largest magnitude over the channels (H, W), and the standard error of the channel that has it."""
    channel = np.abs(spread.mean).argmax(axis=-1)[..., None]
    values = np.take_along_axis(np.abs(spread.mean), channel, axis=-1)[..., 0]
    error = spread.standard_error()
    return values, None if error is None else np.take_along_axis(error, channel, axis=-1)[..., 0]


METHOD = SmoothGrad
