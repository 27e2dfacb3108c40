"""Turns of a boundary point towards the boundary's normal, in the plane of both: shared by `cgba`, `cgba_h` and `ttba`.

In iteration t the normal at the boundary point is estimated from N √t probes in the lowest waves of the discrete cosine
transform, to which networks react more. What an attack makes of the plane through clean image, boundary point and
normal is its own. Nothing depends on how many queries there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.attacks._boundary import bisect, probe, tolerance
from bbquery.attacks._normal import Draw, probed
from bbquery.attacks._plane import Plane
from bbquery.attacks._record import GREY_LEVELS, Record, rms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan

Turn: TypeAlias = "Callable[[Turns, Plane], Plan[NDArray[np.float64] | None]]"
"""Finds an adversarial point in a plane that is nearer to the clean image; None where there is none."""


@dataclass(frozen=True)
class Turns:
    """One attack's turns. draw: directions of probes. rows: how many of them the first time.

    size: of a probe, and within: how closely the boundary is looked for, as published, in grey levels RMS. eight_bit:
    whether to be aware of rounding, where the pixels are rounded.
    """

    record: Record
    draw: Draw
    rows: int
    size: float
    within: float
    eight_bit: bool

    def run(self, start: NDArray[np.float64], turn: Turn) -> Plan[None]:
        """Go on from an adversarial image (H, W, 3) until no more can be asked, or nothing nearer exists."""
        size = probe(self.size, eight_bit=self._aware)
        at = yield from self.straight(start)
        for iteration in count(1):
            if self.record.distance == 0:
                return
            rows = int(self.rows * math.sqrt(iteration))
            found = yield from probed(self.record, at, self.draw, size, rows, eight_bit=False)
            self.record.stepped(size, found.scores)
            plane = Plane.through(self.record.x, at, found.mean())
            nearer = None if plane is None else (yield from turn(self, plane))
            at = at if nearer is None else nearer

    def straight(self, far: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Bisect the line from the clean image to an adversarial point."""
        outwards = np.clip(far, 0, GREY_LEVELS) - self.record.x
        distance = rms(outwards)
        if distance == 0:
            return self.record.x
        within = self.tolerance / distance
        share = yield from bisect(self.record, lambda share: self.record.x + share * outwards, 0.0, 1.0, within)
        return self.record.x + share * outwards

    @property
    def tolerance(self) -> float:
        """How closely the boundary is looked for, in grey levels RMS."""
        return tolerance(self.within, eight_bit=self._aware)

    @property
    def _aware(self) -> bool:
        return self.eight_bit and self.record.domain.dtype == "uint8"
