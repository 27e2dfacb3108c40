"""The plane in which attacks turn, beside plane geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bbquery.attacks._plane import Plane
from bbquery.attacks._record import rms

X, AT, DIRECTION = np.random.default_rng(4).uniform(0, 255, (3, 5, 6, 3))


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    return math.acos(float(np.mean(one * other)) / (rms(one) * rms(other)))


def test_it_holds_the_point_and_the_direction() -> None:
    """The adversarial point is at angle 0 and its own distance, and the direction at its angle with that."""
    plane = Plane.through(X, AT, DIRECTION)

    assert plane is not None
    np.testing.assert_allclose(plane.point(0.0, plane.distance), AT)
    np.testing.assert_allclose(plane.point(plane.angle, rms(DIRECTION)), X + DIRECTION)
    assert plane.angle == pytest.approx(angle_between(AT - X, DIRECTION))


@pytest.mark.parametrize("angle", [-1.2, -0.3, 0.1, 0.8, 1.5])
def test_a_circle_sees_its_diameter_at_a_right_angle(angle: float) -> None:
    """Thales: seen from any point of the circle, clean image and adversarial point are at right angles."""
    plane = Plane.through(X, AT, DIRECTION)
    assert plane is not None

    point = plane.on_circle(angle)

    assert np.mean((point - X) * (point - AT)) == pytest.approx(0, abs=1e-9 * plane.distance**2)
    assert angle_between(point - X, AT - X) == pytest.approx(abs(angle))


@pytest.mark.parametrize("direction", [np.zeros_like(X), AT - X, X - AT])
def test_a_line_is_no_plane(direction: np.ndarray) -> None:
    """No plane is made of a direction that is none, or that leads to the point or away from it; nor of one point."""
    assert Plane.through(X, AT, direction) is None
    assert Plane.through(X, X, DIRECTION) is None
