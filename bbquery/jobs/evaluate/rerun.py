"""Questions that are asked by the method that made a map: they explain again, and cost as much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.specification import constructor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.estimators import Gradient, GradientEstimator
    from bbquery.jobs.evaluate.provenance import Making
    from bbquery.metrics.max_sensitivity import MaxSensitivity
    from bbquery.metrics.repeatability import Repeatability
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class Again:
    """Ask what a metric asks of the method that made the map, from the map's own seed on."""

    metric: Repeatability | MaxSensitivity
    made: Making

    @property
    def queries(self) -> int:
        """How many rows it asks."""
        return self.metric.queries(self.made.method)

    def plan(self, x: Image, domain: Domain, _values: NDArray[np.float64], _seed: int) -> Plan[Any]:
        """Return the metric's plan for x (H, W, 3); the map itself takes no part, and its own seed decides."""
        return self.metric.plan(x, domain, self.made.method, self.made.seed)


@dataclass(frozen=True, kw_only=True, repr=False)
class GradientAgain:
    """Ask what the estimator asked when the map was made: the store answers, and the gradient has its signs again."""

    estimator: GradientEstimator
    seed: int

    def __repr__(self) -> str:
        return f"GradientAgain(estimator={constructor(self.estimator)}, seed={self.seed})"

    @property
    def queries(self) -> int:
        """How many rows it asks."""
        return self.estimator.queries

    def plan(self, x: Image, domain: Domain, _values: NDArray[np.float64], _seed: int) -> Plan[Gradient]:
        """Return the estimator's plan for x (H, W, 3); the map itself takes no part, and its own seed decides."""
        return self.estimator.plan(x, domain, self.seed)
