"""Triangle Attack (TA): the adversarial point as a corner of a triangle, turned in random planes of low frequencies.

Wang et al., "Triangle Attack: A Query-Efficient Decision-Based Adversarial Attack", 2022. The clean image x, the
adversarial image at distance δ, and a third point form a triangle with the angles β at x and α at the third point. The
law of sines puts that one at the distance δ sin(α + β) / sin α: nearer where β > π - 2α (their eq. 2 and 3). A step
draws a plane through x and the adversarial image by one random wave of the lowest frequencies in each channel, tries an
angle β on either side, enlarges β by bisection where that is adversarial (algorithm 1), and adjusts α: γ up after a
success, λ down after a failure, within π/2 ± τ.

As in the authors' code β begins at π/16 at least, a success in the bisection ends the step, and points are clipped to 0
to 255. The waves are orthonormal here, where that code scales the lowest of them differently from all others; and α is
kept in its range after every success, as the paper says, where one branch of the code forgets to.

On whole grey levels, `eight_bit` turns by at least one level RMS. No distance is bisected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import is_aware, probe
from bbquery.attacks._plane import Plane
from bbquery.attacks._record import Record
from bbquery.attacks._start import begin
from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.directions import cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

SEED = 0x7A
LEAST_ANGLE = math.pi / 16  # of β, at first
MARGIN = math.pi / 64  # by which β exceeds π - 2α after a failure


@dataclass(frozen=True, kw_only=True)
class Triangle:
    """Look for the nearest image whose label changes (RMSE), by triangles in planes of low frequencies.

    Args:
        queries: images to ask at most; at least 1.
        ratio: share of the frequencies along each side that waves are drawn from; above 0, at most 1.
        rounds: N, of the bisection of an angle; at least 1.
        alpha: α at first, in radians, no farther from π/2 than spread; above 0, below π.
        gain: γ, by which α changes after a success; above 0.
        loss: λ, by which α changes after a failure; above 0.
        spread: τ, by which α may differ from π/2; above 0, below π/2.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    ratio: float = 0.1
    rounds: int = 2
    alpha: float = math.pi / 2
    gain: float = 0.1
    loss: float = 0.005
    spread: float = 0.1
    eight_bit: bool = True

    def __post_init__(self) -> None:
        for name in ("queries", "rounds"):
            at_least_one(name, getattr(self, name))
        for name in ("ratio", "gain", "loss", "spread"):
            positive(name, getattr(self, name))
        if self.ratio > 1:
            raise UsageError(f"ratio must be above 0 and at most 1, not {self.ratio}")
        if not self.spread < math.pi / 2:
            raise UsageError(f"spread must be above 0 and below π/2, not {self.spread}")
        if not abs(self.alpha - math.pi / 2) <= self.spread:
            raise UsageError(f"alpha must be within {self.spread} (spread) of π/2, not {self.alpha}")

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        at = yield from begin(record, seed, start)
        waves, turning = _Waves(record.x.shape, self.ratio, seed), _Turning(self, record)
        while (at != record.x).any():
            plane = Plane.through(record.x, at, waves.drawn())
            if plane is not None:
                at = yield from turning.turned(plane, at)


class _Waves:
    """Draws directions: one random wave in each channel, with a random amplitude."""

    def __init__(self, shape: tuple[int, ...], ratio: float, seed: int) -> None:
        height, width, self._channels = shape
        self._down, self._across = (cosines(side)[: max(int(side * ratio), 1)] for side in (height, width))
        self._rng = np.random.default_rng((SEED, seed))

    def drawn(self) -> NDArray[np.float64]:
        """Return a direction (H, W, 3)."""
        down, across = (self._rng.integers(len(waves), size=self._channels) for waves in (self._down, self._across))
        amplitudes = self._rng.standard_normal(self._channels)
        drawn: NDArray[np.float64] = np.einsum("c,ci,cj->ijc", amplitudes, self._down[down], self._across[across])
        return drawn


def _corner(plane: Plane, alpha: float, beta: float, side: int) -> NDArray[np.float64]:
    """Return the third corner of the triangle, on one side (1 or -1)."""
    return plane.point(side * beta, plane.distance * math.sin(alpha + beta) / math.sin(alpha))


class _Turning:
    """Turns adversarial points in planes, and adjusts α from each of them to the next."""

    def __init__(self, attack: Triangle, record: Record) -> None:
        self._attack, self._record, self._alpha = attack, record, attack.alpha
        self._eight_bit = is_aware(record, eight_bit=attack.eight_bit)

    def turned(self, plane: Plane, at: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Return a nearer adversarial point of the plane, or `at`, its own, where none was found."""
        beta, most = self._least(plane.distance), math.pi - self._alpha
        for side in (1, -1):
            found = yield from self._tried(plane, beta, side)
            if found is not None:
                nearer = yield from self._enlarged(plane, beta, most, side)
                self._succeeded()
                return found if nearer is None else nearer
            if side == 1:
                beta = self._beyond(beta)
        return at

    def _enlarged(self, plane: Plane, beta: float, most: float, side: int) -> Plan[NDArray[np.float64] | None]:
        """Look for an adversarial point at a larger angle, on both sides, by bisection; None where there is none."""
        least = beta
        for _ in range(self._attack.rounds):
            beta = (least + most) / 2
            found = yield from self._tried(plane, beta, side)
            if found is None:
                beta, side = self._beyond(beta), -side
                found = yield from self._tried(plane, beta, side)
            if found is not None:
                return found
            least, most = self._least(plane.distance), beta
        return None

    def _tried(self, plane: Plane, beta: float, side: int) -> Plan[NDArray[np.float64] | None]:
        """Return a point, as it is sent, if it is adversarial; else lower α."""
        point = self._record.pixels(_corner(plane, self._alpha, beta, side))
        if (yield from self._record.adversarial(point[None]))[0]:
            return point.astype(np.float64)
        self._alpha = max(self._alpha - self._attack.loss, math.pi / 2 - self._attack.spread)
        return None

    def _succeeded(self) -> None:
        self._alpha = min(self._alpha + self._attack.gain, math.pi / 2 + self._attack.spread)

    def _least(self, distance: float) -> float:
        """Return the angle β to begin with, at a distance in grey levels RMS."""
        least = min(LEAST_ANGLE, self._alpha / 2)
        turn = min(probe(least * distance, eight_bit=self._eight_bit) / distance, self._alpha / 2)
        return max(math.pi - 2 * self._alpha, 0.0) + turn

    def _beyond(self, beta: float) -> float:
        """Return an angle β that is still nearer now that α is lower."""
        return max(beta, math.pi - 2 * self._alpha + MARGIN)


ATTACK = Triangle
