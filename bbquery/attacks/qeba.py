"""QEBA: HopSkipJump whose probes are low-dimensional noise (Li et al., 2020).

Li et al., "QEBA: Query-Efficient Boundary-Based Blackbox Attack", CVPR 2020: hops along the boundary as in `hsja`, but
the normal is estimated from a subspace to which networks react more. The noise is Gaussian on a grid of a quarter of
each side (56 × 56 of 224 × 224), enlarged bilinearly (QEBA-S, "resize"), or in the lowest waves of the discrete cosine
transform, a quarter of them along each side (QEBA-F, "dct"). With γ = .01 a probe is 1 % of the distance: on whole grey
levels, rounding takes away most of it as the distance falls. For `eight_bit` see `bbquery.attacks._boundary`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bbquery.attacks._hops import Hops
from bbquery.attacks._record import Record
from bbquery.attacks._start import begin
from bbquery.errors import UnknownName
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.resizing import bilinear
from bbquery.perturb.waves import Waves

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult
    from bbquery.attacks._normal import Draw
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Noise = Literal["resize", "dct"]

PROBES = 0x0EBA
"""Beside the seed, what the probes are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Qeba:
    """Look for the nearest image, by RMSE, whose label changes, by QEBA.

    Args:
        queries: images to ask at most; at least 1.
        noise: how probes are made low-dimensional: resize, from a coarse grid, or dct, from few waves.
        factor: sides of the photo over those of the grid, or over the number of waves; above 0.
        evaluations: probes of the first iteration; iteration t has √t times as many; at least 1.
        gamma: γ, the size of a probe over the distance; the bisection's tolerance is γ / √d of it; above 0.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
        UnknownName: no such noise.
    """

    queries: int = 10_000
    noise: Noise = "resize"
    factor: float = 4.0
    evaluations: int = 100
    gamma: float = 0.01
    eight_bit: bool = True

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        at_least_one("evaluations", self.evaluations)
        positive("factor", self.factor)
        positive("gamma", self.gamma)
        if self.noise not in get_args(Noise):
            raise UnknownName("noise", self.noise, get_args(Noise))

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        rng, (height, width, _) = np.random.default_rng((PROBES, seed)), record.x.shape
        waves = Waves((height, width), self._cells(min(height, width)), np.float32)
        draw = self._resized(rng, height, width) if self.noise == "resize" else functools.partial(waves.noise, rng)
        theta = self.gamma / math.sqrt(record.x.size)
        hops = Hops(record, draw, theta, self.evaluations, self.eight_bit, realised=False)
        yield from hops.run((yield from begin(record, seed, start)))

    def _cells(self, side: int) -> int:
        return min(max(int(side / self.factor), 1), side)

    def _resized(self, rng: np.random.Generator, height: int, width: int) -> Draw:
        cells = (self._cells(height), self._cells(width), 3)
        down, across = bilinear(cells[0], height), bilinear(cells[1], width)

        def draw(rows: int) -> Any:
            grids = rng.standard_normal((rows, *cells), dtype=np.float32)
            wide = np.matmul(across, grids).reshape(rows, cells[0], -1)
            return np.matmul(down, wide).reshape(rows, height, width, 3)

        return draw


ATTACK = Qeba
