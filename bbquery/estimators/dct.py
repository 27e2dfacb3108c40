"""Central differences along low-frequency cosines: orthonormal directions in the span of the lowest k × k waves.

Guo et al., "Low Frequency Adversarial Perturbation". Networks react to smooth changes far more than to independent ones
of the same strength, and 3k² coefficients are learnt from far fewer answers than 3HW values. The estimate is the
gradient's projection on the waves of the discrete cosine transform (DCT-II) with frequencies below k in each channel:
of detail finer than about H / k pixels it says nothing. Directions are dense mixtures of those waves; once there are as
many as coefficients the projection is exact for a linear score, and before that it is unbiased.

On uint8 the coefficients of what was *sent* are regressed on, each divided by its realised second moment. Rounding and
clipping also spill into higher waves, which are left out: where much is clipped, the projection is an approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.estimators._bases import Bases
from bbquery.estimators._gathering import Pairs, gather, gradient, mirrored_batches
from bbquery.perturb.added import precision
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.directions import OrthonormalDirections
from bbquery.perturb.waves import WaveCopies, Waves

if TYPE_CHECKING:
    from bbquery.estimators import Gradient
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class LowFrequencyCosines:
    """Estimate the smooth part of the gradient of a score at a photo from `queries` copies, in pairs.

    Args:
        queries: images to ask; at least 1.
        sigma: root mean square of a copy's change, in grey levels of 0 to 255; above 0.
        frequencies: waves along each side, no more than it has pixels; at least 1.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries, frequencies or batch below 1, or sigma not above 0.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    frequencies: int = 12
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("frequencies", self.frequencies)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for pairs of copies of x (H, W, 3); return the gradient, same shape, in score per grey level."""
        waves = Waves((x.shape[0], x.shape[1]), self.frequencies, precision(domain))
        variance = self.sigma**2 * x.size / math.prod(waves.shape)  # of a coefficient
        bases = Bases(waves.shape, self.queries, variance if domain.dtype == "float64" else None)
        directions = OrthonormalDirections(waves.shape, seed)
        length = self.sigma * math.sqrt(x.size)

        def moved(pairs: Pairs) -> Change:
            return lambda row: waves.render(directions(pairs.first + row) * length)

        copies = mirrored_batches(x, domain, moved, queries=self.queries, batch=self.batch)
        yield from gather((WaveCopies(batch, waves) for batch in copies), bases.add)
        return gradient(waves.synthesis(bases.gradient()), self.queries, bases)


METHOD = LowFrequencyCosines
