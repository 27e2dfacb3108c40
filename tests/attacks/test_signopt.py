"""Sign-OPT: signs of derivatives at a plane, and what rounding does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.attacks._directions import DirectionSearch, Ray
from bbquery.attacks._record import Record, rms
from bbquery.attacks.signopt import SignOpt
from bbquery.errors import UsageError
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8
from tests.attacks.test_directions import Plane, X, normal, slanted


def cosine(one: Any, other: Any) -> float:
    return float(np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_signs_point_along_the_gradient() -> None:
    """Thousands of signs add up to the gradient of g(θ) = margin / (n · θ): against the normal's part across θ."""
    plane, direction = Plane(), slanted(0.6)
    search = DirectionSearch(Record(X, FLOAT, 10_000), (0, 0), alpha=0.2, beta=0.001, eight_bit=False)

    gradient = replay(SignOpt(directions=4000)._gradient(search, Ray(direction, plane.distance(direction))), plane)

    across = normal() - np.mean(normal() * direction) * direction
    assert len(plane.asked) == 4000
    assert cosine(gradient, -across) > 0.98


@pytest.mark.parametrize(("eight_bit", "least", "most"), [(True, 0.8, 1.6), (False, 0.0, 0.3)])
def test_a_probe_is_a_grey_level_where_it_would_be_rounded_away(eight_bit: bool, least: float, most: float) -> None:
    """On 8-bit pixels the points that are asked for signs differ by about a level; as published, by almost nothing."""
    plane, direction = Plane(), slanted(0.6)
    ray = Ray(direction, plane.distance(direction))
    search = DirectionSearch(Record(UINT8.realise(X), UINT8, 50), (0, 0), alpha=0.2, beta=0.001, eight_bit=eight_bit)

    replay(SignOpt(directions=50)._gradient(search, ray), plane)

    base = UINT8.realise(X + ray.distance * direction).astype(np.float64)
    assert least <= np.median([rms(image - base) for image in plane.asked]) <= most


def test_float_pixels_are_attacked_as_published() -> None:
    """Where nothing is rounded the option changes nothing, to the bit."""
    one, other = Plane(), Plane()

    replay(SignOpt(queries=500, directions=20).plan(X, FLOAT, 3), one)
    replay(SignOpt(queries=500, directions=20, eight_bit=False).plan(X, FLOAT, 3), other)

    assert np.array_equal(one.asked, other.asked)


@pytest.mark.parametrize("options", [{"queries": 0}, {"directions": 0}, {"alpha": 0.0}, {"beta": -1.0}], ids=str)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """A number out of its range is refused by name."""
    with pytest.raises(UsageError, match=next(iter(options))):
        SignOpt(**options)
