"""OPT: finite differences of the boundary's distance at a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.attacks._directions import DirectionSearch, Ray
from bbquery.attacks._record import Record
from bbquery.attacks.opt import Opt
from bbquery.errors import UsageError
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8
from tests.attacks.test_directions import Plane, X, normal, slanted


def test_differences_add_up_to_the_gradient() -> None:
    """Many derivatives average to 1/d of the exact gradient of g, in direction and length, in L2 of pixels 0 to 1."""
    plane, direction = Plane(), slanted(0.6)
    ray = Ray(direction, plane.distance(direction))
    search = DirectionSearch(Record(X, FLOAT, 10**6), (0, 0), alpha=0.2, beta=0.001, eight_bit=False)

    gradient, nearest = replay(Opt(directions=400)._gradient(search, ray), plane)

    across = normal() - np.mean(normal() * direction) * direction
    exact = -ray.distance / search.l2 / np.mean(normal() * direction) * across / X.size  # of margin / (n · θ)
    assert np.linalg.norm(gradient - exact) < 0.25 * np.linalg.norm(exact)
    assert nearest.distance < ray.distance
    assert nearest.distance == pytest.approx(plane.distance(nearest.direction), rel=1e-5)


def test_probes_without_a_boundary_are_left_out() -> None:
    """Where no probe meets the boundary the gradient is zero and not infinite."""
    search = DirectionSearch(Record(X, FLOAT, 10**5), (0, 0), alpha=0.2, beta=0.001, eight_bit=False)

    gradient, nearest = replay(Opt(directions=3)._gradient(search, Ray(-normal(), 12.0)), Plane())

    assert not gradient.any()
    assert nearest.distance == np.inf


def test_it_goes_on_where_rounding_hides_every_difference() -> None:
    """With whole grey levels and a boundary at a level or two, all queries are used and none is nearer than exact."""
    plane = Plane(1.5)

    found = replay(Opt(queries=700).plan(X.astype(np.uint8), UINT8, 0), plane)

    assert len(plane.asked) == found.queries == 700
    assert found.rmse >= 1.5 / 255


@pytest.mark.parametrize("options", [{"queries": 0}, {"directions": 0}, {"alpha": 0.0}, {"beta": -1.0}], ids=str)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """A number out of its range is refused by name."""
    with pytest.raises(UsageError, match=next(iter(options))):
        Opt(**options)
