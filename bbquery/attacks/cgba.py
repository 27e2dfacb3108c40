"""CGBA: the boundary on a semicircle in the plane of the clean image and the boundary's normal (Reza et al., 2023).

Reza et al., "CGBA: Curvature-aware Geometric Black-box Attack", ICCV 2023. In iteration t the normal at a boundary
point is estimated from 30 √t probes in the lowest waves. In the plane of normal, clean image and boundary point lies
the semicircle over the latter two: each point of it is nearer to the clean image than the boundary point, and however
the boundary is curved, it crosses the semicircle. CGBA walks on it from the boundary point to the clean image, to where
the label changes back, and bisects that arc: good where the boundary is flat, as that of one label against all others
mostly is. `cgba_h` is their CGBA-H.

As published, probes are far fainter than a grey level and bisections far finer (`eight_bit`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bbquery.attacks._boundary import bisect
from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.attacks._start import begin
from bbquery.attacks._turns import Turns, check
from bbquery.errors import UnknownName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.attacks._plane import Plane
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Search = Literal["semicircle", "line"]

PROBES = 0xC6BA
"""Beside the seed, what probes are drawn from."""
DEVIATION = 0.225 * GREY_LEVELS  # about what the authors divide pixels by
SIGMA = 0.0002 * DEVIATION  # of a probe's coefficients
TOLERANCE = 0.0001 * DEVIATION  # of a bisection, L2
RIGHT_ANGLE = math.pi / 2


@dataclass(frozen=True, kw_only=True)
class Cgba:
    """Look for the nearest image whose label changes, by CGBA.

    Args:
        queries: images to ask at most; at least 1.
        probes: noisy copies that the first estimate of the normal asks; later ones ask more; at least 1.
        reduction: shorter side of the photo over the number of waves along each side that noise is made of; at
            least 1.
        search: along the semicircle, or on the line from the normal back to the boundary point, as `cgba_h`.
        eight_bit: whether probes and moves are of at least a grey level, and bisection is no finer than
            rounding allows; false is as published, which float pixels always get.

    Raises:
        UsageError: a number out of its range.
        UnknownName: no such search.
    """

    queries: int = 10_000
    probes: int = 30
    reduction: float = 4.0
    search: Search = "semicircle"
    eight_bit: bool = True

    def __post_init__(self) -> None:
        check(self.queries, self.probes, self.reduction)
        if self.search not in get_args(Search):
            raise UnknownName("search", self.search, get_args(Search))

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
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
        turn = _outwards if self.search == "semicircle" else _inwards
        yield from turns.run((yield from begin(record, seed, start)), turn)


def _outwards(turns: Turns, plane: Plane) -> Plan[NDArray[np.float64] | None]:
    """Turn from the boundary point towards the clean image until the label changes back, and bisect the arc."""
    left, within = RIGHT_ANGLE, turns.within / plane.distance
    while left > within:
        left /= 2
        if not (yield from turns.record.is_adversarial(plane.on_circle(RIGHT_ANGLE - left))):
            angle = yield from bisect(turns.record, plane.on_circle, RIGHT_ANGLE - left, 0.0, within)
            return np.clip(plane.on_circle(angle), 0, GREY_LEVELS)
    return None


def _inwards(turns: Turns, plane: Plane) -> Plan[NDArray[np.float64] | None]:
    """Turn from the normal towards the boundary point until the label changes, and bisect the line from there."""
    angle, within = plane.angle, turns.within / plane.distance
    while angle > within:
        angle /= 2
        if (yield from turns.record.is_adversarial(plane.on_circle(angle))):
            return (yield from turns.straight(plane.on_circle(angle)))
    return None


ATTACK = Cgba
