"""SPSA: simultaneous perturbation with random signs (Spall, "Multivariate Stochastic Approximation", 1992).

Every value is moved up or down by sigma at once, and then the other way: (f(x + z) - f(x - z)) / 2 zᵢ, averaged over
pairs. For a score with third derivatives its bias falls with sigma². As zᵢ² is always sigma², a value's own slope adds
nothing to its variance: for a linear score of slope a over m pairs, (|a|² - aᵢ²) / m is left of value i, where Gaussian
noise leaves (|a|² + aᵢ²) / m.

On uint8 choose a whole number for sigma, so that nothing is lost to rounding; where clipping keeps a value from moving
as far, its realised moves are divided by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.estimators._gathering import Pairs, mirrored_batches, paired_gradient
from bbquery.perturb.added import precision
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.directions import signs

if TYPE_CHECKING:
    from bbquery.estimators import Gradient
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class SimultaneousPerturbation:
    """Estimate the gradient of a score at a photo from `queries` copies, in pairs of opposite random signs.

    Args:
        queries: images to ask; at least 1.
        sigma: how far each value is moved, in grey levels of 0 to 255; above 0.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, or sigma not above 0.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 8.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for pairs of copies of x (H, W, 3); return the gradient, same shape, in score per grey level."""

        def moved(pairs: Pairs) -> Change:
            return signs(x.shape, self.sigma, precision(domain), rows=pairs.rows, key=(seed, pairs.step))

        copies = mirrored_batches(x, domain, moved, queries=self.queries, batch=self.batch)
        return (yield from paired_gradient(copies, x, domain, sigma=self.sigma, queries=self.queries))


METHOD = SimultaneousPerturbation
