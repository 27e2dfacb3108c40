"""Photos whose label changes at a plane or a sphere, where the nearest change is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.plan import Ask

SIDE, CELLS = 16, 4
MARGIN = 8.0  # grey levels RMS from the photo to the boundary


def unit(values: Any) -> Any:
    return values / np.sqrt(np.mean(values**2))


@dataclass(frozen=True)
class Boundary:
    """A photo and where its label changes. start: an adversarial image. exact: the distance by norm, in grey levels."""

    photo: Any
    start: Any
    adversarial: Callable[[Any], bool]
    exact: dict[str, float]

    def __call__(self, ask: Ask) -> Scores:
        crossed = np.array([self.adversarial(ask.images[row].astype(np.float64)) for row in range(len(ask.images))])
        return Scores(np.where(crossed, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - crossed)


def _scene(seed: int) -> tuple[Any, Any, Any]:
    """Return a photo, a smooth normal and a direction at right angles to it, the latter two of length 1 RMS."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(100, 156, (SIDE, SIDE, 3)).astype(np.float64)
    scale = np.ones((SIDE // CELLS, SIDE // CELLS, 1))
    normal = unit(np.kron(rng.standard_normal((CELLS, CELLS, 3)), scale))
    sideways = rng.choice([-1.0, 1.0], photo.shape)
    return photo, normal, unit(sideways - np.mean(sideways * normal) * normal)


def plane(seed: int) -> Boundary:
    """Return a half-space: all beyond a plane is adversarial."""
    photo, normal, sideways = _scene(seed)
    return Boundary(
        photo,
        photo + 60 * (0.2 * normal + math.sqrt(0.96) * sideways),
        lambda image: np.mean((image - photo) * normal) > MARGIN,
        {"l2": MARGIN, "linf": MARGIN / np.mean(np.abs(normal))},
    )


def hollow(seed: int) -> Boundary:
    """Return a ball that holds the photo, not in its middle: all outside is adversarial."""
    photo, normal, sideways = _scene(seed)
    centre, radius = photo - 4 * MARGIN * normal, 5 * MARGIN
    return Boundary(
        photo,
        photo + 60 * (0.2 * normal + math.sqrt(0.96) * sideways),
        lambda image: np.mean((image - centre) ** 2) > radius**2,
        {"l2": MARGIN, "linf": _linf(lambda t: np.mean((np.abs(photo - centre) + t) ** 2) > radius**2)},
    )


def ball(seed: int) -> Boundary:
    """Return a ball that the photo is outside of: all inside is adversarial."""
    photo, normal, sideways = _scene(seed)
    centre, radius = photo + 10 * MARGIN * normal, 9 * MARGIN
    sine = 0.89  # of the angle between the start and the normal; beyond .9 a ray misses the ball
    cosine = math.sqrt(1 - sine**2)
    return Boundary(
        photo,
        photo + 10 * MARGIN * cosine * (cosine * normal + sine * sideways),
        lambda image: np.mean((image - centre) ** 2) < radius**2,
        {"l2": MARGIN, "linf": _linf(lambda t: np.mean(np.maximum(np.abs(photo - centre) - t, 0) ** 2) < radius**2)},
    )


def _linf(is_reached: Callable[[float], bool]) -> float:
    """Return the smallest half side of a cube around the photo that reaches the boundary, by bisection."""
    low, high = 0.0, 255.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high


BOUNDARIES = {"plane": plane, "hollow": hollow, "ball": ball}
