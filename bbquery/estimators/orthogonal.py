"""Central differences along orthonormal directions of a random subspace.

(f(x + z) - f(x - z)) / 2|z| is the slope along z. Over m orthonormal directions these slopes are the projection of the
gradient on their span, and that, times d / m for d values, is the estimate: unbiased over the draw of the directions,
and exact for a linear score from m = d on. No direction asks again
what another has asked, which independent ones do; of photos (d = 150,528) only a small part can be asked, so there the
gain is small. For a linear score of slope a the expected squared error is (d / m - 1) |a|², where Gaussian directions
leave (d + 1) / m |a|².

On uint8 each value is divided by its realised second moment, which rounding and clipping change.
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

if TYPE_CHECKING:
    from bbquery.estimators import Gradient
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class OrthogonalDirections:
    """Estimate the gradient of a score at a photo from `queries` copies, in pairs along orthonormal directions.

    What is returned is the gradient's projection on the directions asked, times the number of values over that of
    directions.

    Args:
        queries: images to ask; at least 1.
        sigma: root mean square of a copy's change, in grey levels of 0 to 255; above 0.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, or sigma not above 0.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for pairs of copies of x (H, W, 3); return the gradient, same shape, in score per grey level."""
        bases = Bases(x.shape, self.queries, self.sigma**2 if domain.dtype == "float64" else None)
        directions, dtype = OrthonormalDirections(x.shape, seed), precision(domain)
        length = self.sigma * math.sqrt(directions.size)

        def moved(pairs: Pairs) -> Change:
            return lambda row: (directions(pairs.first + row) * length).astype(dtype, copy=False)

        copies = mirrored_batches(x, domain, moved, queries=self.queries, batch=self.batch)
        yield from gather(copies, bases.add)
        return gradient(bases.gradient(), self.queries, bases)


METHOD = OrthogonalDirections
