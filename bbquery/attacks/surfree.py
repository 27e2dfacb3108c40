"""SurFree: circles through the best point in random planes of low frequencies, no normal estimated (Maho et al., 2021).

Maho, Furon and Le Merrer, "SurFree: a fast surrogate-free black-box attack", CVPR 2021. A random direction and the best
point span a plane with the clean image; the circle in it over the latter two, its diameter, holds only nearer points.
It is tried at the angle θ on either side of the best point, seen from the clean image. If one is adversarial, the angle
is enlarged by bisection (7 times, or to 1 % of the distance) and θ grows by 1 / ρ; if none is, θ shrinks by ρ. Then the
next direction is drawn.

Directions are drawn in the discrete cosine transform: the photo's own coefficients (pixels 0 to 1) through tanh, in the
lower half of the frequencies, each times -1, 0 or 1 by chance; and made orthogonal to the last 100.

Where the authors' code and paper differ, it is as in the code: ρ = .95, θ = 30° at first. Its last line search, when
all queries are spent but a few, is left out: nothing here depends on how many there are. The authors round to whole
grey levels, too; besides, `eight_bit` moves by at least one, and bisects no more finely than rounding allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import bisect, is_aware, probe, tolerance
from bbquery.attacks._orthogonal import Orthogonal
from bbquery.attacks._plane import Plane
from bbquery.attacks._record import GREY_LEVELS, Record, rms
from bbquery.attacks._start import begin
from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one, proper_share
from bbquery.perturb.waves import Waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

DIRECTIONS = 0x5F
"""Beside the seed, what directions are drawn from."""
BOOST = 0.8  # of the way to the start: asked before it is bisected
BISECTIONS = 7
GAMMA = 0.01  # a bisection ends when distances differ by this share
WIDEST = math.radians(89)  # at a right angle there is only the clean image
AHEAD = 8  # directions drawn at once
FAINTEST = 1e-3  # weight of a wave that the photo does not have: else one of one colour could not be changed


@dataclass(frozen=True, kw_only=True)
class SurFree:
    """Look for the nearest image whose label changes (RMSE) by SurFree.

    Args:
        queries: images to ask at most; at least 1.
        theta: θ at first, in degrees; above 0, below 90.
        rho: ρ, by which θ shrinks after a failure; above 0, below 1.
        frequencies: share of the lowest frequencies that directions are drawn in; above 0, at most 1.
        remembered: directions that a new one is orthogonal to; at least 1.
        eight_bit: whether probes and moves are of at least a grey level, and bisection is no finer than
            rounding allows; false is as published, which float pixels always get.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    theta: float = 30.0
    rho: float = 0.95
    frequencies: float = 0.5
    remembered: int = 100
    eight_bit: bool = True

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        at_least_one("remembered", self.remembered)
        proper_share("rho", self.rho)
        if not 0 < self.theta < 90:
            raise UsageError(f"theta must be above 0 and below 90 degrees, not {self.theta!r}")
        if not 0 < self.frequencies <= 1:
            raise UsageError(f"frequencies must be above 0 and at most 1, not {self.frequencies!r}")

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        circles = _Circles(record, aware=is_aware(record, eight_bit=self.eight_bit))
        directions = _Directions(record.x, self, np.random.default_rng((DIRECTIONS, seed)))
        at = yield from circles.first((yield from begin(record, seed, start)))
        theta = math.radians(self.theta)
        while record.distance > 0:
            plane = Plane.through(record.x, at, directions.drawn())
            if plane is None:
                continue
            angle = yield from circles.tried(plane, theta)
            theta = theta * self.rho if angle is None else min(theta / self.rho, WIDEST)
            if angle is not None:
                at = np.clip(plane.on_circle((yield from circles.enlarged(plane, angle, theta))), 0, GREY_LEVELS)


class _Circles:
    """Looks for adversarial points on circles. aware: of rounding."""

    def __init__(self, record: Record, *, aware: bool) -> None:
        self._record, self._aware = record, aware

    def first(self, start: NDArray[np.float64]) -> Plan[NDArray[np.float64]]:
        """Bisect the line from the clean image to the start."""
        outwards = start - self._record.x
        distance = rms(outwards)
        if distance == 0:
            return start

        def on_line(share: float) -> NDArray[np.float64]:
            return self._record.x + share * outwards

        boosted = yield from self._record.is_adversarial(on_line(BOOST))
        low, high = (0.0, BOOST) if boosted else (BOOST, 1.0)
        within = tolerance(distance * (high - low) / 2**BISECTIONS, eight_bit=self._aware) / distance
        return on_line((yield from bisect(self._record, on_line, low, high, within)))

    def tried(self, plane: Plane, theta: float) -> Plan[float | None]:
        """Return an angle, θ or -θ, whose point is adversarial; None without one."""
        theta = min(probe(theta * plane.distance, eight_bit=self._aware) / plane.distance, WIDEST)
        for angle in (theta, -theta):
            if (yield from self._record.is_adversarial(plane.on_circle(angle))):
                return angle
        return None

    def enlarged(self, plane: Plane, angle: float, by: float) -> Plan[float]:
        """Return the largest angle found whose point is adversarial, by bisection from `angle` to `by` beyond it.

        Where the first angle that is tried on this side is not adversarial, its opposite is tried.
        """
        beyond = math.copysign(min(abs(angle) + by, WIDEST), angle)
        within = tolerance(GAMMA * plane.distance, eight_bit=self._aware) / plane.distance
        for turn in range(BISECTIONS):
            if abs(math.cos(beyond) - math.cos(angle)) <= within:
                break
            middle = (angle + beyond) / 2
            if (yield from self._record.is_adversarial(plane.on_circle(middle))):
                angle = middle
            elif turn == 0 and angle > 0 and (yield from self._record.is_adversarial(plane.on_circle(-middle))):
                angle, beyond = -middle, -beyond
            else:
                beyond = middle
        return angle


class _Directions:
    """Draws directions as coefficients of waves, several ahead: those are as orthogonal as the pixels."""

    def __init__(self, x: NDArray[np.float64], attack: SurFree, rng: np.random.Generator) -> None:
        self._waves = Waves((x.shape[0], x.shape[1]), max(x.shape[:2]), np.float32)
        weights = _weights(x, self._waves, attack.frequencies)
        *waves, channels = np.nonzero(weights)
        self._weights = weights[(*waves, channels)]
        self._coefficients = np.zeros((3, *weights.shape[:2]), np.float32)  # channel by channel, quicker to multiply
        self._places = np.ravel_multi_index((channels, *waves), self._coefficients.shape)
        self._counts = _counts(weights)
        remembered = min(attack.remembered, max(len(self._places) - 2, 1))
        self._orthogonal = Orthogonal(remembered, len(self._places))
        self._drawn = np.empty((min(AHEAD, remembered), len(self._places)), np.float32)
        self._rng, self._left = rng, 0

    def drawn(self) -> NDArray[np.floating]:
        """Return a direction (H, W, 3) of any length."""
        if not self._left:
            for row in self._drawn:
                np.multiply(self._weights, self._rng.integers(-1, 2, len(row), dtype=np.int8), out=row)
            self._orthogonal.take(self._drawn)
            self._left = len(self._drawn)
        self._coefficients.reshape(-1)[self._places] = self._drawn[-self._left]
        self._left -= 1
        return self._waves.render_lowest(np.moveaxis(self._coefficients, 0, -1), self._counts)


def _weights(x: NDArray[np.float64], waves: Waves, frequencies: float) -> NDArray[np.float32]:
    """Return by how much each wave is changed, (H, W, 3): 0 above the frequencies that are drawn from.

    The authors' transform is not orthonormal: it and its inverse weigh waves by 2 √(H W), and √2 of it more for each
    side along which they are constant.
    """
    height, width, _ = waves.shape
    scale = np.full((height, width, 1), 2 * math.sqrt(height * width))
    scale[0] *= math.sqrt(2)
    scale[:, 0] *= math.sqrt(2)
    weights: NDArray[np.float64] = (
        np.maximum(np.tanh(np.abs(waves.analysis(x / GREY_LEVELS) * scale)), FAINTEST) / scale
    )
    order = np.add.outer(np.arange(height), np.arange(width)).argsort(axis=None, kind="stable")
    weights.reshape(-1, 3)[order[max(int(frequencies * height * width), 1) :]] = 0
    return weights.astype(np.float32)


def _counts(weights: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return, for each frequency down, up to which one across any wave has a weight."""
    across = np.arange(1, weights.shape[1] + 1)
    counts: NDArray[np.intp] = np.where(weights.any(axis=2), across, 0).max(axis=1)
    return counts


ATTACK = SurFree
