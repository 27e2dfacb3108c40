"""Vanilla gradient as a saliency map, with any gradient estimator.

Simonyan et al., "Deep Inside Convolutional Networks", 3.1: the magnitude of the derivative, its maximum over the colour
channels. In the frame of Zhang et al. (eq. 5), S(g, x) = max_c |g_c| with an estimated g.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.saliency import Method
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class GradientMap(Method):
    """Explain a score by how strongly it reacts to a small change of each pixel, by an estimated gradient.

    Unsigned: a gradient's sign says whether the pixel should get brighter or darker, not whether it is evidence for or
    against the target. Noise has a magnitude too, so pixels that do not matter are above 0 as well.

    Args:
        estimator: what asks, with its own queries; its name alone, where a method is wanted, stands for this
            map of it.
    """

    estimator: GradientEstimator = field(default_factory=LikelihoodRatio)

    @property
    def queries(self) -> int:
        """Number of rows it asks."""
        return self.estimator.queries

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers."""
        return self.estimator.adaptive

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask what the estimator asks; return the map of x (H, W, 3), in score per grey level."""
        gradient = yield from self.estimator.plan(x, domain, seed)
        return SaliencyMap(
            np.abs(gradient.values).max(axis=-1),
            signed=False,
            unit="score per grey level",
            rows=gradient.rows,
            answered=gradient.answered,
        )


METHOD = GradientMap
