"""Triangle Attack: the geometry of a step, its waves, and its options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.attacks import _plane as plane
from bbquery.attacks._record import Record, rms
from bbquery.attacks.triangle import Triangle, _corner, _Turning, _Waves
from bbquery.errors import UsageError
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8
from tests.attacks.test_directions import Plane, X, normal, slanted


@settings(max_examples=25)
@given(alpha=st.floats(1.45, 1.7), beta=st.floats(0.1, 1.4), side=st.sampled_from([1, -1]), seed=st.integers(0, 99))
def test_a_corner_obeys_the_law_of_sines(alpha: float, beta: float, side: int, seed: int) -> None:
    """The third corner lies β aside at a distance of δ sin(α + β) / sin α, and the triangle's angle there is α."""
    at = X + 20 * slanted(0.5)
    turned = through(at, np.random.default_rng(seed).standard_normal(X.shape))

    corner = _corner(turned, alpha, beta, side)

    assert turned.distance == pytest.approx(20)
    assert rms(corner - X) == pytest.approx(20 * math.sin(alpha + beta) / math.sin(alpha))
    assert angle(corner - X, at - X) == pytest.approx(beta)
    assert angle(X - corner, at - corner) == pytest.approx(alpha)


def through(at: Any, direction: Any) -> plane.Plane:
    found = plane.Plane.through(X, at, direction)
    assert found is not None
    return found


def angle(one: Any, other: Any) -> float:
    return math.acos(np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_waves_are_of_the_lowest_frequencies() -> None:
    """A direction is one cosine in each channel, of frequencies below the ratio along both sides."""
    scipy_fft = pytest.importorskip("scipy.fft")
    waves = _Waves((20, 30, 3), 0.2, seed=0)

    for _ in range(40):
        coefficients = scipy_fft.dctn(waves.drawn(), axes=(0, 1), norm="ortho")
        down, across, channels = np.nonzero(np.abs(coefficients) > 1e-9)
        assert channels.tolist().count(0) == channels.tolist().count(1) == channels.tolist().count(2) == 1
        assert down.max() < 4
        assert across.max() < 6


def test_a_step_that_finds_something_is_nearer_and_one_that_does_not_stays() -> None:
    """In the plane of the boundary's normal the point gets nearer; where no label changes it stays, with a lower α."""
    record, at = Record(X, FLOAT, 100), X + 30 * slanted(0.4)
    near, far = _Turning(Triangle(), record), _Turning(Triangle(), record)

    nearer = replay(near.turned(through(at, normal()), at), Plane())
    stayed = replay(far.turned(through(at, normal()), at), Plane(1e9))

    assert rms(nearer - X) < 0.99 * 30
    assert near._alpha > math.pi / 2
    assert np.array_equal(stayed, at)
    assert far._alpha == pytest.approx(math.pi / 2 - 2 * 0.005)


@pytest.mark.parametrize(("distance", "turned"), [(100.0, math.pi / 16), (4.0, 1 / 4), (0.5, math.pi / 4)])
def test_a_turn_is_at_least_a_level_where_pixels_are_rounded(distance: float, turned: float) -> None:
    """Far away β begins as published; near, where the arc of π/16 is less than a level, at a level or at α / 2."""
    turning = _Turning(Triangle(), Record(UINT8.realise(X), UINT8, 1))
    published = _Turning(Triangle(eight_bit=False), Record(UINT8.realise(X), UINT8, 1))

    assert turning._least(distance) == pytest.approx(turned)
    assert published._least(distance) == pytest.approx(math.pi / 16)


@pytest.mark.parametrize(
    "options",
    [{"queries": 0}, {"ratio": 1.5}, {"ratio": 0.0}, {"rounds": 0}, {"gain": -0.1}, {"spread": 2.0}, {"alpha": 1.0}],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """A number out of its range is refused by name."""
    with pytest.raises(UsageError, match=next(iter(options))):
        Triangle(**options)
