"""Sign-OPT: descent on the boundary's distance by the signs of its derivatives, one query each.

Cheng et al., "Sign-OPT: A Query-Efficient Hard-label Adversarial Attack", 2020. The distance g(θ) of the boundary along
a direction θ is minimised as in `opt`. Of the derivative along a random u only the sign is asked, by one query: whether
the point at the distance g(θ) along θ + β u is still adversarial (algorithm 1):

    ĝ = 1/Q Σ sign(g(θ + β u) - g(θ)) u

On whole grey levels β = .001 changes the pixels by about a hundredth of a level, which rounding deletes: an answer then
tells nothing of u. With `eight_bit` a probe is at least one level, and g is measured as closely as rounding allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._directions import DirectionSearch, unit
from bbquery.attacks._record import Record
from bbquery.perturb.checks import at_least_one, positive
from bbquery.types import batches

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult
    from bbquery.attacks._directions import Direction, Ray
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

SEED = 0x516
FIRST_WITHIN = 1e-3  # L2 of pixels 0 to 1, as the authors' code measures the first directions
ROWS = 25  # directions in memory at once


@dataclass(frozen=True, kw_only=True)
class SignOpt:
    """Look for the nearest image whose label changes (RMSE), by the signs of derivatives of its distance.

    Args:
        queries: images to ask at most; at least 1.
        directions: Q, of each estimate (k in the authors' code); at least 1.
        alpha: α, the first step's length; above 0.
        beta: β, the smoothing, as a share of the distance; above 0.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    directions: int = 200
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
            gradient = yield from self._gradient(search, ray)
            ray = yield from search.descended(ray, gradient)

    def _gradient(self, search: DirectionSearch, ray: Ray) -> Plan[Direction]:
        """Return ĝ, from one query a direction."""
        beta = search.smoothing(ray.distance)
        total = np.zeros_like(ray.direction)
        for rows in batches(self.directions, ROWS):
            drawn = [unit(u) for u in search.drawn(rows)]
            probes = [search.pixels(unit(ray.direction + beta * u), ray.distance) for u in drawn]
            adversarial = yield from search.record.adversarial(np.stack(probes))
            for u, nearer in zip(drawn, adversarial, strict=True):
                total += -u if nearer else u
        return total / self.directions


ATTACK = SignOpt
