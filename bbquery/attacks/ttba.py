"""TtBA: two thirds of the way on the bridge from the boundary point to the normal (Wang et al., 2025).

Wang et al., "TtBA: Two-third Bridge Approach for Decision-Based Adversarial Attack", ICML 2025. In iteration t the
normal at a boundary point is estimated from 30 √t probes in the lowest waves. The bridge: seen from the clean image,
the directions (1 - k) v + k n between those of the boundary point v and of the normal n, all at the boundary point's
distance. The largest k that is adversarial, k*, is bisected to .001. The bridge is left where the boundary below it is
thought to be the nearest: at 2/3 k*, but at .9 k* where k* ≤ .1, and between for k* up to .2. From there the straight
line to the clean image is bisected.

The authors' code draws uniform noise in every value of photos smaller than 224 × 224; here they are treated alike. As
published, probes are far fainter than a grey level and bisections far finer (`eight_bit`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.attacks._boundary import bisect
from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.attacks._start import begin
from bbquery.attacks._turns import Turns, check

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.attacks._plane import Plane
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

PROBES = 0x77BA
"""Beside the seed, what probes are drawn from."""
SIGMA = 0.0003 * GREY_LEVELS  # of a probe's coefficients
TOLERANCE = 0.0001 * GREY_LEVELS  # of the line's bisection, L2
WITHIN = 0.001  # of the bridge's bisection
LOW, HIGH = 0.1, 0.2  # k*, between which the share of it that is gone falls from `NEAR` to `FAR`
NEAR, FAR = 0.9, 2 / 3


@dataclass(frozen=True, kw_only=True)
class TwoThirdBridge:
    """Look for the nearest image whose label changes (RMSE) by TtBA.

    Args:
        queries: images to ask at most; at least 1.
        probes: noisy copies that the first estimate of the normal asks; later ones ask more; at least 1.
        reduction: shorter side of the photo over the number of waves along each side that noise is made of; at
            least 1.
        eight_bit: whether probes and moves are of at least a grey level, and bisection is no finer than
            rounding allows; false is as published, which float pixels always get.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    probes: int = 30
    reduction: float = 4.0
    eight_bit: bool = True

    def __post_init__(self) -> None:
        check(self.queries, self.probes, self.reduction)

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        turns = Turns(
            record,
            (PROBES, seed),
            probes=self.probes,
            reduction=self.reduction,
            sigma=SIGMA,
            within=TOLERANCE,
            eight_bit=self.eight_bit,
        )
        yield from turns.run((yield from begin(record, seed, start)), _bridged)


def _bridged(turns: Turns, plane: Plane) -> Plan[NDArray[np.float64]]:
    def bridge(k: float) -> NDArray[np.float64]:
        angle = math.atan2(k * math.sin(plane.angle), 1 - k + k * math.cos(plane.angle))
        return plane.point(angle, plane.distance)

    within = max(WITHIN, turns.within / plane.distance)
    farthest = yield from bisect(turns.record, bridge, 1.0, 0.0, within)
    return (yield from turns.straight(bridge(left_at(farthest))))


def left_at(farthest: float) -> float:
    """Return at which k the bridge is left, from k*."""
    if farthest <= LOW:
        return NEAR * farthest
    if farthest >= HIGH:
        return FAR * farthest
    return NEAR * LOW + (FAR * HIGH - NEAR * LOW) / (HIGH - LOW) * (farthest - LOW)


ATTACK = TwoThirdBridge
