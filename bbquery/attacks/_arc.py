"""Stand on the boundary, and move on a circle through the clean photo and there.

The adversarial point x + r u (u of RMS 1) and the clean photo x are the ends of a circle's diameter. In the plane of u
and a direction t, made orthogonal to u, its points are x + r cos θ (cos θ u + sin θ t), each of them nearer to x than
r; where the boundary is a plane, the nearest point to x is on it, and the circle leaves the adversarial side there
(Maho et al., "SurFree", 2021; Shi et al., "CGBA", 2023). So whichever angle is adversarial is progress, by cos θ.

Pixels travel as whole grey levels, so what counts is the distance of the rounded point: one that is no nearer than
where we stand is not asked, since nothing would be won by it. An image that was asked is never offered again for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._textures import aside, unit

if TYPE_CHECKING:
    from bbquery.attacks._record import Record
    from bbquery.attacks._textures import Texture
    from bbquery.plan import Plan

GROWTH = 1.6  # of an angle after a success
WIDEST = 1.3  # radians
SHRINK = 0.99  # of the radius, tried at every other success
SEARCH_STEP = 1.3  # of the angle along an estimated normal
SEARCH_TRIES = 5
BACK_OFF = 1.02  # of the radius, squared each time that it is not enough
FARTHEST = 255.0  # grey levels RMS


class Position:
    """Where an attack stands: x + radius × way, adversarial when last asked. All in grey levels RMS.

    distance: of the pixels that were asked there, after rounding.
    """

    def __init__(self, record: Record, way: Texture, radius: float) -> None:
        self.record = record
        self._x = record.x.astype(np.float32)
        self.way, self.radius = unit(way), radius
        self.distance = math.inf

    def point(self, way: Texture, radius: float) -> Texture:
        """Return the pixels at a distance along a way, before rounding."""
        moved: Texture = self._x + np.float32(radius) * way
        return moved

    def offer(self, way: Texture, radius: float) -> Plan[bool]:
        """Go there if it is adversarial, and nearer after rounding than where we stand."""
        pixels = self.record.pixels(self.point(way, radius))
        distance = math.sqrt(float(np.mean(np.square(pixels - self._x))))
        if distance >= self.distance or not (yield from self.record.adversarial(pixels[None]))[0]:
            return False
        self.way, self.radius, self.distance = way, radius, distance
        return True

    def shrink(self, factor: float = SHRINK) -> Plan[None]:
        """Go straight towards the clean photo, by ever larger steps, while that is adversarial."""
        while (yield from self.offer(self.way, self.radius * factor)):
            factor *= factor

    def either_side(self, direction: Texture, angle: float) -> Plan[bool]:
        """Try an angle to either side; after a success, larger ones. Return whether it has moved."""
        arc = _Arc(self, direction)
        for side in (1, -1):
            if (yield from arc.offer(side * angle)):
                while abs(arc.reached) < WIDEST and (yield from arc.offer(arc.reached * GROWTH)):
                    pass
                return True
        return False

    def along(self, direction: Texture, angle: float) -> Plan[float]:
        """Search one side for the largest adversarial angle, near `angle`, and shrink there; return it, or 0."""
        arc = _Arc(self, direction)
        tries = 0
        while not (yield from arc.offer(angle)):
            angle, tries = angle / SEARCH_STEP**2, tries + 1
            if tries == SEARCH_TRIES:
                return 0.0
        while arc.reached < WIDEST and (yield from arc.offer(arc.reached * SEARCH_STEP)) and not tries:
            pass
        yield from self.shrink(1 - max(0.25 * (1 - math.cos(arc.reached)), 1 - SHRINK))
        return arc.reached

    def confirm(self) -> Plan[bool]:
        """Stay where a point just behind is adversarial too, else go back until one is; return whether one is.

        A lone answer may be wrong. Not the same point is asked, since the answer to that would only be remembered.
        """
        radius, factor = self.radius * BACK_OFF, BACK_OFF
        if (yield from self.record.is_adversarial(self.point(self.way, radius))):
            return True
        while radius < FARTHEST:
            self.distance, factor = math.inf, factor * factor
            radius *= factor
            if (yield from self.offer(self.way, radius)):
                return True
        return False


class _Arc:
    """A circle's half to both sides of a position, in the plane of its way and a direction. reached: the angle."""

    def __init__(self, position: Position, direction: Texture) -> None:
        self._position, self._way, self._radius = position, position.way, position.radius
        self._direction = aside(direction, position.way)
        self.reached = 0.0

    def offer(self, angle: float) -> Plan[bool]:
        """Go to an angle if it is adversarial and nearer; it is no wider than `WIDEST`, before the way turns round."""
        angle = min(max(angle, -WIDEST), WIDEST)
        along, aside = np.float32(math.cos(angle)), np.float32(math.sin(angle))
        way = unit(along * self._way + aside * self._direction)
        moved = yield from self._position.offer(way, self._radius * math.cos(angle))
        if moved:
            self.reached = angle
        return moved
