"""GeoDA: the boundary as a plane whose normal gathers over iterations, in low frequencies (Rahmati et al., 2020).

Rahmati, Moosavi-Dezfooli, Frossard and Dai, "GeoDA: A Geometric Framework for Black-Box Adversarial Attacks", CVPR
2020. The nearest point of a plane lies along its normal, so in iteration t

1. n_t probes around the boundary point, Gaussian in the lowest waves of the discrete cosine transform along each side
   (`waves`), give the mean of φ u (not centred), which is added to the sum of those before;
2. from the clean image, steps of 5 times that sum are taken until the label changes, 100 at most;
3. the way back is bisected: that is the next boundary point.

The paper spreads a known number of queries over the iterations, n_t in proportion to λ^(-2t/3) (eq. 19, λ = .6) with
between 50 and 80 in the first. So n_t = 60 λ^(-2t/3) here, which needs no total. It begins, as the authors' code does,
with Gaussian noise that grows by .02 (pixels from 0 to 1) from one query to the next.

As published, a probe is of some hundredths of a grey level. For `eight_bit` see `bbquery.attacks._boundary`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import is_aware, probe, straight, tolerance
from bbquery.attacks._normal import probed
from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.waves import Waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

DRAWN = 0x6E0DA
"""Beside the seed, what the start and the probes are drawn from."""

START = 0.02  # of the range of pixels: by which the noise grows
STEP = 5.0
STEPS = 100
TOLERANCE = 1e-4  # L2 of pixels from 0 to 1


@dataclass(frozen=True, kw_only=True)
class Geoda:
    """Look for the nearest image, by RMSE, whose label changes, by GeoDA.

    Args:
        queries: images to ask at most; at least 1.
        waves: waves along each side, no more than it has pixels; at least 1.
        sigma: standard deviation of a wave's coefficient in a probe, as a share of the range of pixels; above
            0.
        first: probes of the first iteration; at least 1.
        growth: λ, how iterations share the probes: 1 gives each the same number; above 0, at most 1.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    waves: int = 75
    sigma: float = 2e-4
    first: int = 60
    growth: float = 0.6
    eight_bit: bool = True

    def __post_init__(self) -> None:
        for name in ("queries", "waves", "first"):
            at_least_one(name, getattr(self, name))
        positive("sigma", self.sigma)
        if not 0 < self.growth <= 1:
            raise UsageError(f"growth must be above 0 and at most 1, not {self.growth!r}")

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        rng = np.random.default_rng((DRAWN, seed))
        walk = _Walk(record, is_aware(record, eight_bit=self.eight_bit))
        waves = Waves(record.x.shape[:2], self.waves, np.float32)
        length = math.sqrt(math.prod(waves.shape) / record.x.size)  # RMS, for coefficients with a variance of 1
        size = probe(self.sigma * GREY_LEVELS * length, eight_bit=walk.aware)
        draw = functools.partial(waves.noise, rng)
        at = yield from walk.projected((yield from _begun(record, rng, start)))
        total = np.zeros(record.x.shape)
        for iteration in count():
            if not (at - record.x).any():
                return
            rows = round(self.first * self.growth ** (-2 * iteration / 3))
            probes = yield from probed(record, at, draw, size, rows, realised=False)
            record.stepped(size, probes.scores)
            total += length * probes.mean()
            at = yield from walk.along(total, at)


@dataclass(frozen=True)
class _Walk:
    """How GeoDA comes to the boundary from the clean image. aware: of rounding."""

    record: Record
    aware: bool

    def along(self, normal: NDArray[np.float64], at: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Return where the boundary is along a normal, in the units of a probe; `at` where no step reaches it."""
        for step in range(1, STEPS + 1):
            point = self.record.x + step * STEP * GREY_LEVELS * normal
            if not normal.any():
                return at
            if (yield from self.record.is_adversarial(point)):
                return (yield from self.projected(point))
        return at

    def projected(self, far: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Return where the way from the clean image to an adversarial one crosses the boundary."""
        published = TOLERANCE * GREY_LEVELS / math.sqrt(far.size)
        return (yield from straight(self.record, far, tolerance(published, eight_bit=self.aware)))


def _begun(record: Record, rng: np.random.Generator, start: Image | None) -> Plan[NDArray[np.float64]]:
    """Return the image that is given, if it is adversarial, else the first that growing noise makes so."""
    if start is not None and (yield from record.is_adversarial(start)):
        return record.pixels(start).astype(np.float64)
    for turn in count(1):
        noise = rng.standard_normal(record.x.shape)
        point = np.clip(record.x + turn * START * GREY_LEVELS * noise, 0, GREY_LEVELS)
        if (yield from record.is_adversarial(point)):
            break
    return point


ATTACK = Geoda
