"""Estimators of the gradient of a score at a photo, from answers alone: one algorithm a file.

An estimator is anything with this protocol; saliency maps and attacks take any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

__all__ = ["Gradient", "GradientEstimator"]


@dataclass(frozen=True, eq=False)
class Gradient:
    """An estimated gradient, and how much it rests on.

    values: float64 (H, W, 3), score per grey level. rows: how many rows the estimator wanted; answered: how many of
    them were. With two answers or fewer it tells nothing; with fewer than two it is 0.
    mean_score: over the answered rows, the smoothed score itself; NaN without an answer.
    """

    values: NDArray[np.float64]
    rows: int
    answered: int
    mean_score: float


class GradientEstimator(Protocol):
    """A frozen configuration with a plan that returns a gradient."""

    @property
    def queries(self) -> int:
        """Number of rows it asks."""

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers: if not, all its questions can be asked at once."""

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for perturbed copies of x (H, W, 3) and return the gradient of the score there."""
