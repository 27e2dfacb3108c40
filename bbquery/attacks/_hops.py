"""Hops along the boundary (Chen et al., "HopSkipJumpAttack", 2020, algorithm 2), shared by `hsja` and `qeba`.

From an adversarial image at the boundary, in iteration t:

1. The boundary's normal is estimated from 100 √t probes of size δ = √d θ D, with D the distance from the clean image,
   and .1 (pixels from 0 to 1, L2) the first time.
2. A step along it, of length D / √t, is halved until it stays adversarial; for L∞ it goes along the normal's signs.
3. The way back to the clean image is bisected to where the label changes, to within θ of the way; for L∞, the radius of
   the ball around the clean image to which the point is clipped is.

Probes and bisection meet rounding as `bbquery.attacks._boundary` says, where `eight_bit` is asked for and pixels are
rounded. A step is not halved below what bisection tells apart: as published, it is halved forever where answers vary.
Nothing depends on how many queries there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import bisect, is_aware, probe, tolerance
from bbquery.attacks._normal import Draw, probed, unit
from bbquery.attacks._record import GREY_LEVELS, Record, rms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan

FIRST_PROBE = 0.1  # L2 of pixels from 0 to 1


@dataclass(frozen=True)
class Hops:
    """One attack's way along the boundary. draw: directions of probes. theta: θ. evaluations: probes the first time.

    eight_bit: whether to be aware of rounding, where the pixels are rounded. realised: whether a direction then is what
    was sent, or what was meant; see `bbquery.attacks._normal.probed`.
    """

    record: Record
    draw: Draw
    theta: float
    evaluations: int
    eight_bit: bool
    realised: bool

    def run(self, start: NDArray[np.float64]) -> Plan[None]:
        """Go on from an adversarial image (H, W, 3) until no more can be asked, or nothing nearer exists."""
        at = yield from self._projected(start)
        for iteration in count(1):
            distance = self._distance(at)
            if distance == 0:
                return
            rows = int(self.evaluations * math.sqrt(iteration))
            normal = yield from self._normal(at, self._probe(distance, iteration), rows)
            at = yield from self._projected((yield from self._stepped(at, normal, distance / math.sqrt(iteration))))

    def _normal(self, at: NDArray[np.float64], size: float, rows: int) -> Plan[NDArray[np.float64]]:
        realised = self._aware and self.realised
        probes = yield from probed(self.record, at, self.draw, size, rows, realised=realised)
        self.record.stepped(size, probes.scores)
        return probes.centred()

    def _stepped(self, at: NDArray[np.float64], normal: NDArray[np.float64], size: float) -> Plan[NDArray[np.float64]]:
        """Return the first adversarial image on the way along the normal, from far to near; `at` without one."""
        way = np.sign(normal) if self.record.norm == "linf" else unit(normal)
        while normal.any() and size > self._within(self._distance(at)):
            if (yield from self.record.is_adversarial(at + size * way)):
                return self._kept(at + size * way)
            size /= 2
        return at

    def _projected(self, at: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Return where the way from the clean image to an adversarial one crosses the boundary."""
        distance = self._distance(at)
        if distance == 0:
            return at
        within = self._within(distance)
        place = yield from bisect(self.record, lambda place: self._towards(at, place), 0.0, distance, within)
        return self._kept(self._towards(at, place))

    def _towards(self, at: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
        x = self.record.x
        if self.record.norm == "linf":
            return np.clip(at, x - distance, x + distance)
        return x + (at - x) * (distance / self._distance(at))

    def _kept(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where to go on from: as it was sent, or, unaware of rounding, as it was meant."""
        return self.record.pixels(at).astype(np.float64) if self._aware else np.clip(at, 0, GREY_LEVELS)

    def _distance(self, at: NDArray[np.float64]) -> float:
        change = at - self.record.x
        return float(np.abs(change).max()) if self.record.norm == "linf" else rms(change)

    def _probe(self, distance: float, iteration: int) -> float:
        size = math.sqrt(self.record.x.size)
        published = FIRST_PROBE * GREY_LEVELS / size if iteration == 1 else size * self.theta * distance
        return probe(published, eight_bit=self._aware)

    def _within(self, distance: float) -> float:
        return tolerance(self.theta * distance, eight_bit=self._aware)

    @property
    def _aware(self) -> bool:
        return is_aware(self.record, eight_bit=self.eight_bit)
