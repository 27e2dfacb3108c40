"""Provenance of a map, for metrics that explain again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.saliency.vanilla import GradientMap
from bbquery.specification import constructor

if TYPE_CHECKING:
    from bbquery.estimators import GradientEstimator
    from bbquery.saliency import Method


@dataclass(frozen=True, repr=False)
class Making:
    """The method and the seed that made a map."""

    method: Method
    seed: int = 0

    def __repr__(self) -> str:
        return f"Making(method={constructor(self.method)}, seed={self.seed})"

    @property
    def estimator(self) -> GradientEstimator | None:
        """What estimated the gradient of which the map is the magnitude; None where the map is something else."""
        return self.method.estimator if isinstance(self.method, GradientMap) else None
