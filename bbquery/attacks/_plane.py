"""The plane through a clean image, an adversarial point and a direction: polar coordinates around the clean image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.perturb.rendering import scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane. distance: of the adversarial point from the clean image, in grey levels RMS.

    outwards, aside: from the clean image to that point, and at right angles to it, (H, W, 3), each of length 1 RMS.
    angle: of the direction with `outwards`, in radians, above 0 and below π.
    """

    x: NDArray[np.float64]
    distance: float
    outwards: NDArray[np.float64]
    aside: NDArray[np.float64]
    angle: float

    @classmethod
    def through(cls, x: NDArray[np.float64], at: NDArray[np.float64], direction: NDArray[np.floating]) -> Plane | None:
        """Return the plane through x and `at` along a direction of any length; None where all is one line."""
        outwards, aside = at - x, direction.astype(np.float64)
        distance = _length(outwards)
        if distance == 0:
            return None
        outwards /= distance
        along = float(np.vdot(aside, outwards)) / x.size
        aside -= np.multiply(outwards, along, out=scratch("along", x.shape, np.float64))
        across = _length(aside)
        if across <= 1e-12 * abs(along):
            return None
        aside /= across
        return cls(x, distance, outwards, aside, math.atan2(across, along))

    def point(self, angle: float, distance: float) -> NDArray[np.float64]:
        """Return the point at an angle from `outwards`, towards `aside`, at a distance from the clean image."""
        point: NDArray[np.float64] = self.outwards * (distance * math.cos(angle))
        point += np.multiply(self.aside, distance * math.sin(angle), out=scratch("along", point.shape, np.float64))
        point += self.x
        return point

    def on_circle(self, angle: float) -> NDArray[np.float64]:
        """Return the point at an angle on the circle over clean image and adversarial point, its diameter."""
        return self.point(angle, self.distance * math.cos(angle))


def _length(values: NDArray[np.float64]) -> float:
    """Return the root mean square, without another array of that size."""
    return math.sqrt(float(np.vdot(values, values)) / values.size)
