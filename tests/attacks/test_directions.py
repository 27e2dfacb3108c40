"""Search over directions: distances, steps and the first direction, at a plane where all of them are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.attacks._directions import DirectionSearch, Ray, unit
from bbquery.attacks._record import GREY_LEVELS, Record, rms
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Scores

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain

SHAPE = (2, 3, 3)
X = np.full(SHAPE, 128.0)
MARGIN = 10.0  # grey levels RMS to the plane


def normal(seed: int = 0) -> Any:
    return unit(np.random.default_rng(seed).standard_normal(SHAPE))


class Plane:
    """A label that changes `margin` grey levels along a normal; it keeps what is asked."""

    def __init__(self, margin: float = MARGIN) -> None:
        self.normal, self.margin = normal(), margin
        self.asked: list[Any] = []

    def distance(self, direction: Any) -> float:
        """Return g of a direction of length 1 RMS."""
        along = float(np.mean(direction * self.normal))
        return self.margin / along if along > 0 else math.inf

    def __call__(self, ask: Ask) -> Scores:
        images = [np.asarray(ask.images[row], np.float64) for row in range(len(ask.images))]
        self.asked += images
        crossed = np.array([np.mean((image - X) * self.normal) >= self.margin for image in images])
        return Scores(np.where(crossed, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - crossed)


def searching(domain: Domain = FLOAT, *, alpha: float = 0.2, eight_bit: bool = True) -> DirectionSearch:
    record = Record(domain.realise(X), domain, 100_000)
    return DirectionSearch(record, (1, 2), alpha=alpha, beta=0.001, eight_bit=eight_bit)


def slanted(share: float, seed: int = 1) -> Any:
    """Return a direction of length 1 RMS at an angle of cosine `share` to the normal."""
    other = normal(seed)
    across = unit(other - np.mean(other * normal()) * normal())
    return share * normal() + math.sqrt(1 - share**2) * across


def ask(plan: Plan[Ray], plane: Plane) -> Ray:
    return replay(plan, plane)


@pytest.mark.parametrize("near", [0.5, 0.97, 1.0, 1.03, 1.8])
def test_the_boundary_is_found_from_either_side(near: float) -> None:
    """From nearer or farther, g is measured from beyond the boundary, as closely as published."""
    plane, direction = Plane(), slanted(0.8)
    exact = plane.distance(direction)

    found = ask(searching().measured(direction, near * exact), plane)

    assert exact <= found.distance <= exact + 2e-6 * GREY_LEVELS / math.sqrt(X.size)


def test_a_direction_without_a_boundary_is_infinitely_far() -> None:
    """Away from the boundary the search ends, and says so."""
    assert ask(searching().measured(-normal(), 12.0), Plane()).distance == math.inf


def test_rounded_pixels_are_not_bisected_below_what_they_tell() -> None:
    """On 8-bit pixels the same measurement takes fewer queries when aware of rounding, and is right within a level."""
    direction, fine, coarse = slanted(0.8), Plane(), Plane()
    exact = fine.distance(direction)

    ask(searching(UINT8, eight_bit=False).measured(direction, 1.05 * exact), fine)
    found = ask(searching(UINT8).measured(direction, 1.05 * exact), coarse)

    assert len(coarse.asked) < len(fine.asked) - 5
    assert found.distance == pytest.approx(exact, abs=1.0)


def test_a_step_against_the_gradient_is_nearer_and_lengthens() -> None:
    """From a slanted ray a step along the normal is nearer, and α has grown for the next one."""
    plane, direction = Plane(), slanted(0.5)
    ray, search = Ray(direction, plane.distance(direction)), searching()

    found = ask(search.descended(ray, -normal()), plane)

    assert found.distance < 0.8 * ray.distance
    assert found.distance == pytest.approx(plane.distance(found.direction), abs=2e-4)
    assert rms(found.direction) == pytest.approx(1)
    assert search.alpha > 0.2


def test_a_step_that_helps_nowhere_leaves_the_ray_and_renews_the_scales() -> None:
    """At the nearest point no step is nearer: the ray stays, α begins anew at 1, and β is a tenth."""
    plane, search = Plane(), searching()
    ray = Ray(normal(), plane.distance(normal()))

    found = ask(search.descended(ray, slanted(0.0)), plane)

    assert found is ray
    assert search.alpha == 1.0
    assert search.beta == pytest.approx(1e-4)


def test_the_first_ray_is_the_nearest_of_a_hundred() -> None:
    """Of 100 Gaussian directions the one with the nearest boundary is returned, measured as closely as asked."""
    plane = Plane()
    drawn = searching().drawn(100)
    exact = min(plane.distance(unit(each)) for each in drawn)

    found = ask(searching().first(None, within=1e-3), plane)

    assert exact <= found.distance <= exact + 1e-3 * GREY_LEVELS / math.sqrt(X.size)


def test_the_first_ray_leads_to_the_start() -> None:
    """An adversarial start gives the direction, and only its distance is asked."""
    plane, direction = Plane(), slanted(0.4)

    found = ask(searching().first(X + 60 * direction, within=1e-3), plane)

    assert np.allclose(found.direction, direction)
    assert found.distance == pytest.approx(plane.distance(direction), rel=1e-3)
    assert len(plane.asked) < 20
