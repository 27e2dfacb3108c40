"""Search over directions: an attack as the minimum of g(θ), the distance at which the label changes along θ.

Cheng et al., "Query-Efficient Hard-label Black-box Attack: An Optimization-based Approach", 2019; `opt` and `signopt`:

1. The first θ is the best of 100 Gaussian directions, or leads to the image that a person gives.
2. g is measured by steps of 1 % from where it is thought to be, and bisection (their algorithm 1).
3. θ ← (θ - α ĝ) / ‖θ - α ĝ‖, with α doubled while that helps, else quartered until it does.

A direction is of length 1 RMS, and a distance in grey levels RMS. The paper's numbers are L2 distances of pixels from 0
to 1 (`l2`); angles, α and β are the same in both, save where g itself is a factor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.attacks._boundary import bisect, is_aware, probe, tolerance
from bbquery.attacks._record import GREY_LEVELS, rms
from bbquery.perturb.added import precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan
    from bbquery.types import Image

    Direction = NDArray[np.float32 | np.float64]

FIRST_DIRECTIONS = 100
STEP = 0.01  # of the distance, from one query to the next, until the boundary lies between them
FARTHEST = 20.0  # L2: beyond, a direction counts as infinitely far
STEPS_AT_LEAST = 10  # beyond where the search began, however far that is
TRIES = 15  # of a step's length, in each way
LEAST_ALPHA = 1e-4
LEAST_BETA = 1e-8


class Ray(NamedTuple):
    """A direction (H, W, 3) of length 1 RMS, and how far the boundary is along it, in grey levels RMS."""

    direction: Direction
    distance: float


class DirectionSearch:
    """Minimises g(θ) for one attack. alpha: α, the next step's length. beta: β, the smoothing that derivatives use.

    eight_bit: whether distances are measured no more closely than rounding allows, where the pixels are rounded.
    """

    def __init__(self, record: Record, key: tuple[int, int], *, alpha: float, beta: float, eight_bit: bool) -> None:
        self.record, self.alpha, self.beta = record, alpha, beta
        self.eight_bit = is_aware(record, eight_bit=eight_bit)
        self.l2 = GREY_LEVELS / math.sqrt(record.x.size)  # grey levels RMS in an L2 distance of 1
        self._rng = np.random.default_rng(key)
        self._float = precision(record.domain)

    def smoothing(self, distance: float) -> float:
        """Return β for probes at a distance in grey levels RMS."""
        return probe(self.beta * distance, eight_bit=self.eight_bit) / distance

    def drawn(self, directions: int) -> Direction:
        """Draw Gaussian directions, (n, H, W, 3), not yet of length 1."""
        return self._rng.standard_normal((directions, *self.record.x.shape), dtype=self._float)

    def first(self, start: Image | None, within: float) -> Plan[Ray]:
        """Return where to begin: towards `start` if it is adversarial, else the nearest of Gaussian directions.

        within: how closely their distances are measured, L2. Where no direction is adversarial, all queries go there.
        """
        if start is not None and (yield from self.record.is_adversarial(start)):
            towards = self.record.pixels(start) - self.record.x
            if towards.any():
                length = rms(towards)
                return (yield from self._nearer((towards / length).astype(self._float), length, math.inf, within))
        best, tried = Ray(np.empty(0, self._float), math.inf), 0
        while tried < FIRST_DIRECTIONS or best.distance == math.inf:
            noise = self.drawn(1)[0]
            tried += 1
            if (yield from self.record.is_adversarial(self.record.x + GREY_LEVELS * noise)):
                length = rms(noise)
                found = yield from self._nearer(noise / length, GREY_LEVELS * length, best.distance, within)
                best = min(best, found, key=lambda ray: ray.distance)
        return best

    def _nearer(self, direction: Direction, distance: float, best: float, within: float) -> Plan[Ray]:
        """Measure a direction that is adversarial at `distance`, if it is so at `best` as well."""
        if distance > best and not (yield from self.is_adversarial(direction, best)):
            return Ray(direction, math.inf)
        high, within = min(distance, best), self._within(within)
        found = yield from bisect(self.record, lambda at: self._point(direction, at), 0.0, high, within)
        return Ray(direction, found)

    def measured(self, direction: Direction, near: float) -> Plan[Ray]:
        """Measure g near a distance (algorithm 1), infinite where the boundary is not found."""
        low = high = near
        if (yield from self.is_adversarial(direction, near)):
            low *= 1 - STEP
            while (yield from self.is_adversarial(direction, low)):
                high, low = low, low * (1 - STEP)
        else:
            farthest = max(FARTHEST * self.l2, near * (1 + STEP) ** STEPS_AT_LEAST)
            high *= 1 + STEP
            while not (yield from self.is_adversarial(direction, high)):
                low, high = high, high * (1 + STEP)
                if high > farthest:
                    return Ray(direction, math.inf)
        within = self._within(self.beta / 500)  # as the authors' code
        return Ray(
            direction, (yield from bisect(self.record, lambda at: self._point(direction, at), low, high, within))
        )

    def descended(self, ray: Ray, gradient: Direction) -> Plan[Ray]:
        """Return the best of the steps against a gradient; `ray` itself where none is nearer."""
        best = ray
        for _ in range(TRIES):
            tried = yield from self._stepped(ray, gradient, best.distance)
            self.alpha *= 2
            if tried.distance >= best.distance:
                break
            best = tried
        if best is ray:
            best = yield from self._shorter(ray, gradient)
        if self.alpha < LEAST_ALPHA:
            self.alpha, self.beta = 1.0, max(self.beta / 10, LEAST_BETA)
        return best

    def _shorter(self, ray: Ray, gradient: Direction) -> Plan[Ray]:
        for _ in range(TRIES):
            self.alpha /= 4
            tried = yield from self._stepped(ray, gradient, ray.distance)
            if tried.distance < ray.distance:
                return tried
        return ray

    def _stepped(self, ray: Ray, gradient: Direction, near: float) -> Plan[Ray]:
        return (yield from self.measured(unit(ray.direction - self.alpha * gradient), near))

    def is_adversarial(self, direction: Direction, distance: float) -> Plan[bool]:
        """Ask for the point of a direction at a distance."""
        return (yield from self.record.is_adversarial(self._point(direction, distance)))

    def pixels(self, direction: Direction, distance: float) -> Image:
        """Return the point of a direction at a distance, as it is sent."""
        return self.record.pixels(self._point(direction, distance))

    def _point(self, direction: Direction, distance: float) -> NDArray[np.float64]:
        point: NDArray[np.float64] = self.record.x + distance * direction
        return point

    def _within(self, published: float) -> float:
        return tolerance(published * self.l2, eight_bit=self.eight_bit)


def unit(direction: Direction) -> Direction:
    """Return the direction with length 1 RMS."""
    return direction / direction.dtype.type(rms(direction))
