"""Turns of a boundary point towards the boundary's normal, in the plane of both: shared by `cgba`, `cgba_h` and `ttba`.

In iteration t the normal at the boundary point is estimated from N √t probes in the lowest waves of the discrete cosine
transform, to which networks react more. They count as they were meant, in the waves: what rounding adds is outside
them. What an attack makes of the plane through clean image, boundary point and normal is its own. Nothing depends on
how many queries there are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.attacks._boundary import is_aware, probe, straight, tolerance
from bbquery.attacks._normal import probed
from bbquery.attacks._plane import Plane
from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one
from bbquery.perturb.waves import Waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan

Turn: TypeAlias = "Callable[[Turns, Plane], Plan[NDArray[np.float64] | None]]"
"""Finds an adversarial point in a plane that is nearer to the clean image; None where there is none."""


def check(queries: int, probes: int, reduction: float) -> None:
    """Check the options that attacks by turns share.

    Raises:
        UsageError: one is out of its range.
    """
    at_least_one("queries", queries)
    at_least_one("probes", probes)
    if not 1 <= reduction < math.inf:
        raise UsageError(f"reduction must be a finite number of at least 1, not {reduction!r}")


class Turns:
    """One attack's turns. key: what probes are drawn from. probes: how many the first time, N.

    reduction: the photo's shorter side over the number of waves along each. sigma: standard deviation of a probe's
    coefficients, and within: how closely the boundary is looked for, L2, both as published, in grey levels. eight_bit:
    whether to be aware of rounding, where pixels are rounded.
    """

    def __init__(
        self,
        record: Record,
        key: tuple[int, int],
        *,
        probes: int,
        reduction: float,
        sigma: float,
        within: float,
        eight_bit: bool,
    ) -> None:
        height, width, _ = record.x.shape
        aware = is_aware(record, eight_bit=eight_bit)
        waves = Waves((height, width), max(int(min(height, width) / reduction), 1), np.float32)
        self.record, self._probes = record, probes
        self._draw = functools.partial(waves.noise, np.random.default_rng(key))
        self._size = probe(sigma / reduction, eight_bit=aware)
        self.within = tolerance(within / math.sqrt(record.x.size), eight_bit=aware)

    def run(self, start: NDArray[np.float64], turn: Turn) -> Plan[None]:
        """Go on from an adversarial image (H, W, 3) until no more can be asked, or nothing nearer exists."""
        at = yield from self.straight(start)
        for iteration in count(1):
            if self.record.distance == 0:
                return
            rows = int(self._probes * math.sqrt(iteration))
            found = yield from probed(self.record, at, self._draw, self._size, rows, realised=False)
            self.record.stepped(self._size, found.scores)
            plane = Plane.through(self.record.x, at, found.mean())
            nearer = None if plane is None else (yield from turn(self, plane))
            at = at if nearer is None else nearer

    def straight(self, far: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Return where the line from the clean image to an adversarial point crosses the boundary."""
        return (yield from straight(self.record, far, self.within))
