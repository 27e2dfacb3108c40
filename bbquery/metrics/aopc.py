"""AOPC: how much of a score is lost, on average, while all pixels are hidden (Samek et al., 2017; as GEEX reports it).

The area over the perturbation curve, 1/(L + 1) Σ (f(x₀) - f(x_k)) over k = 0 ... L, as a share of f(x₀): that is
1 - mean(trend) / trend[0] of a deletion curve down to nothing. Higher is better, 0 is a score that never falls. It
compares only at the fill and the steps of its curve, which is srg's: both are asked once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.metrics import Measurement, Quantity
from bbquery.metrics.srg import OfCurves
from bbquery.perturb.baselines import AnyFill  # noqa: TC001 - load reads the options' annotations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.metrics import Case
    from bbquery.metrics.srg import Curves


def aopc(trend: NDArray[np.float64]) -> float:
    """Return 1 - mean(trend) / trend[0], without unit.

    trend: float64 (steps + 1,), the scores of a deletion, the whole photo's first, such as `Curves.deletion`. NaN where
    the whole photo's score is not above 0: a share of it means nothing then, as with log-probabilities.
    """
    if not trend[0] > 0:
        return math.nan
    return float(1 - trend.mean() / trend[0])


@dataclass(frozen=True, kw_only=True)
class Aopc(OfCurves):
    """The share of the score that is lost, on average, while pixels are hidden.

    Args:
        steps: equal shares in which pixels are taken; at least 1.
        fill: what hides pixels: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        insertion_fill: filling of the other curve, which is asked along with its own to share both with srg:
            likewise; 0 to 255.

    Raises:
        UsageError: steps below 1, or a number that is no grey level. UnknownName: an unknown fill.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("aopc", "higher", "share of the score", "0 for a score that never falls"),
    )
    place: ClassVar[int] = 20

    @property
    def fills(self) -> tuple[AnyFill, ...]:
        """What it hides pixels behind."""
        return (self.fill,)

    def measurements(self, _: Case, answer: Curves, /) -> list[Measurement]:
        """Return the area over the deletion curve."""
        (quantity,), value = self.quantities, aopc(answer.deletion)
        return [
            quantity.measured(
                value, fill=f"{self.fill}", steps=self.steps, queries=self.steps + 1, unanswered=answer.unanswered
            )
        ]


METRIC = Aopc
