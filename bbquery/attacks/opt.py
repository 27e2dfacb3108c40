"""OPT: descent on the boundary's distance by zeroth-order derivatives (randomised gradient-free, RGF).

Cheng et al., "Query-Efficient Hard-label Black-box Attack: An Optimization-based Approach", 2019. The attack is the
minimum over directions θ of g(θ), the distance at which the label changes (see `_directions`). g is continuous, so it
can be descended by finite differences, each of them a search for the boundary (algorithm 2):

    ĝ = 1/q Σ (g(θ + β u) - g(θ)) / β · u

The next θ is the best of a line search and of the q probes, as in the authors' code. With float pixels a derivative
takes about 20 queries. Probes that meet no boundary are left out, where the code adds infinities.

On whole grey levels β = .001 changes the pixels by about a hundredth of a level, which rounding deletes. With
`eight_bit` a probe is at least one level, and g is measured no more closely than rounding allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._directions import DirectionSearch, unit
from bbquery.attacks._record import Record
from bbquery.perturb.checks import at_least_one, positive

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult
    from bbquery.attacks._directions import Direction, Ray
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

SEED = 0x097
FIRST_WITHIN = 1e-5  # L2 of pixels 0 to 1, as the authors' code measures the first directions


@dataclass(frozen=True, kw_only=True)
class Opt:
    """Look for the nearest image whose label changes (RMSE), by finite differences of the distance.

    Args:
        queries: images to ask at most; at least 1.
        directions: q, of each estimate; at least 1.
        alpha: α, the first step's length; above 0.
        beta: β, the smoothing, as a share of the distance; above 0.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    directions: int = 10
    alpha: float = 0.2
    beta: float = 0.001
    eight_bit: bool = True

    def __post_init__(self) -> None:
        for name in ("queries", "directions"):
            at_least_one(name, getattr(self, name))
        for name in ("alpha", "beta"):
            positive(name, getattr(self, name))

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        search = DirectionSearch(record, (SEED, seed), alpha=self.alpha, beta=self.beta, eight_bit=self.eight_bit)
        return record.run(self._search(search, start))

    def _search(self, search: DirectionSearch, start: Image | None) -> Plan[None]:
        ray = yield from search.first(start, FIRST_WITHIN)
        while True:
            gradient, probed = yield from self._gradient(search, ray)
            stepped = (yield from search.descended(ray, gradient)) if gradient.any() else ray
            ray = stepped if stepped.distance <= probed.distance else probed

    def _gradient(self, search: DirectionSearch, ray: Ray) -> Plan[tuple[Direction, Ray]]:
        """Return ĝ, and the nearest of the probes that it took."""
        beta, nearest = search.smoothing(ray.distance), ray._replace(distance=math.inf)
        total = np.zeros_like(ray.direction)
        for _ in range(self.directions):
            u = unit(search.drawn(1)[0])
            probed = yield from search.measured(unit(ray.direction + beta * u), ray.distance)
            nearest = min(nearest, probed, key=lambda ray: ray.distance)
            if probed.distance < math.inf:
                total += (probed.distance - ray.distance) / search.l2 / beta * u
        return total / self.directions, nearest


ATTACK = Opt
