"""HopSkipJump: along the boundary by its estimated normal, to the nearest point (Chen et al., 2020).

Chen, Jordan and Wainwright, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", IEEE S&P 2020, algorithm 2,
with the authors' numbers. Probes are independent noise in every value: Gaussian, or uniform for L∞.

As published, a probe is a d-th of the distance (d: values of the photo), and the boundary is looked for to within
d^(-3/2) of it: on a photo of whole grey levels neither makes a difference, and the estimate is chance. Aware of that
(`eight_bit`), a probe has at least one grey level, and bisection ends at a hundredth of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from bbquery.attacks import Norm
from bbquery.attacks._hops import Hops
from bbquery.attacks._normal import CHUNK
from bbquery.attacks._record import Record
from bbquery.attacks._start import begin
from bbquery.errors import UnknownName
from bbquery.perturb.checks import at_least_one, positive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

PROBES = 0x4057
"""Beside the seed, what the probes are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Hsja:
    """Look for the nearest image whose label changes by HopSkipJump.

    Args:
        queries: images to ask at most; at least 1.
        norm: distance to minimise: l2 (RMSE) or linf (the largest change).
        evaluations: probes of the first iteration; iteration t has √t times as many; at least 1.
        gamma: γ: the bisection's tolerance is γ / d^1.5 of the distance (γ / d² for linf), and a probe √d (d)
            times that; above 0.
        eight_bit: whether probes are of at least one grey level, and bisection goes to a hundredth of one;
            false is as published.

    Raises:
        UsageError: a number out of its range.
        UnknownName: no such norm.
    """

    queries: int = 10_000
    norm: Norm = "l2"
    evaluations: int = 100
    gamma: float = 1.0
    eight_bit: bool = True

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        at_least_one("evaluations", self.evaluations)
        positive("gamma", self.gamma)
        if self.norm not in get_args(Norm):
            raise UnknownName("norm", self.norm, get_args(Norm))

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries, self.norm)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        rng, values = np.random.default_rng((PROBES, seed)), record.x.size
        directions = np.empty((CHUNK, *record.x.shape), np.float32)  # once: fresh memory takes time

        def draw(rows: int) -> NDArray[np.float32]:
            drawn = directions[:rows]
            if self.norm == "l2":
                return rng.standard_normal(dtype=np.float32, out=drawn)
            rng.random(dtype=np.float32, out=drawn)
            drawn *= 2
            drawn -= 1
            return drawn

        theta = self.gamma / values ** (2.0 if self.norm == "linf" else 1.5)
        hops = Hops(record, draw, theta, self.evaluations, self.eight_bit, realised=True)
        yield from hops.run((yield from begin(record, seed, start)))


ATTACK = Hsja
