"""SurFree's directions and angles, beside what the paper says of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bbquery import load
from bbquery.attacks._plane import Plane
from bbquery.attacks._record import Record, rms
from bbquery.attacks.surfree import SurFree, _Circles, _Directions
from bbquery.errors import UsageError
from bbquery.perturb.waves import Waves
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores

SIDE = 12
PHOTO = np.random.default_rng(3).integers(90, 166, (SIDE, SIDE, 3)).astype(np.float64)
NORMAL = np.random.default_rng(4).choice([-1.0, 1.0], PHOTO.shape)
START = PHOTO + 40 * NORMAL


@dataclass
class Ball:
    """All is adversarial that is at least `margin` grey levels RMS from the photo: nothing nearer can be found."""

    margin: float = 20.0
    images: list[Any] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Scores:
        asked = [ask.images[row].astype(np.float64) for row in range(len(ask.images))]
        self.images += asked
        beyond = np.array([rms(image - PHOTO) >= self.margin for image in asked])
        return Scores(np.where(beyond, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - beyond)


def ran(attack: SurFree, domain: Domain = FLOAT) -> tuple[Ball, float]:
    """Return what was asked, and the distance of the best point, from which nothing leads nearer."""
    oracle = Ball()
    found = replay(attack.plan(domain.realise(PHOTO), domain, 0, domain.realise(START)), oracle)
    return oracle, 255 * found.rmse


def test_both_sides_are_tried_at_an_angle_that_shrinks_after_each_failure() -> None:
    """At 30°, 30° ρ, 30° ρ², … a pair of points lies on the circle, at the best distance times the angle's cosine."""
    oracle, best = ran(SurFree(queries=59))
    trials = oracle.images[9:59]  # after the start and its line

    angles = [math.acos(min(rms(point - PHOTO) / best, 1.0)) for point in trials]

    np.testing.assert_allclose(angles[::2], angles[1::2], rtol=1e-6)
    np.testing.assert_allclose(angles[::2], math.radians(30) * 0.95 ** np.arange(25), rtol=1e-3)
    middle = (trials[0] + trials[1]) / 2 - PHOTO  # either side of the way to the best point
    np.testing.assert_allclose(middle / rms(middle), NORMAL, atol=1e-3)


def test_an_angle_is_enlarged_on_the_other_side_if_only_that_is_adversarial() -> None:
    """Of 45° on either side, halfway from 30° to 60°, the adversarial one is kept, and the angle grows from there."""
    plane = Plane.through(PHOTO, START, np.random.default_rng(1).standard_normal(PHOTO.shape))
    assert plane is not None

    def answer(ask: Ask) -> Scores:
        change = ask.images[0] - PHOTO
        across, outwards = np.mean(change * plane.aside), np.mean(change * plane.outwards)
        beyond = np.array([-50 < math.degrees(math.atan2(across, outwards)) < 40])
        return Scores(np.where(beyond, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - beyond)

    circles = _Circles(Record(PHOTO, FLOAT, 100), aware=False)
    angle = replay(circles.enlarged(plane, math.radians(30), math.radians(30)), answer)

    assert -50 < math.degrees(angle) < -48


def test_aware_of_rounding_it_moves_by_a_grey_level() -> None:
    """On whole grey levels the angle shrinks no further than to a point one level RMS from the best one."""
    changes = {}
    for eight_bit in (True, False):
        oracle, best = ran(SurFree(queries=300, eight_bit=eight_bit), UINT8)
        changes[eight_bit] = rms(oracle.images[-1] - PHOTO - best * NORMAL)

    assert changes[True] == pytest.approx(1.0, abs=0.3)
    assert changes[False] < 0.5


def test_directions_are_orthogonal_to_the_last_ones_and_of_low_frequencies() -> None:
    """Any two within the number that is remembered are at right angles; waves above the lower half are not in them."""
    attack = SurFree(remembered=20)
    directions = _Directions(PHOTO, attack, np.random.default_rng(0))

    drawn = np.stack([directions.drawn().ravel() for _ in range(50)])

    products = drawn @ drawn.T
    apart = np.abs(np.subtract.outer(np.arange(50), np.arange(50)))
    assert np.abs(products[(apart > 0) & (apart <= 20)]).max() < 1e-4
    np.testing.assert_allclose(np.diag(products), 1, rtol=1e-4)
    coefficients = np.stack([Waves((SIDE, SIDE), SIDE, np.float64).analysis(d.reshape(PHOTO.shape)) for d in drawn])
    high = np.add.outer(np.arange(SIDE), np.arange(SIDE)) >= SIDE
    assert np.abs(coefficients[:, high]).max() < 1e-5
    assert np.abs(coefficients[:, 0]).max() > 1e-3


def test_a_direction_is_the_photos_own_waves_with_random_signs() -> None:
    """The first direction has, in each wave, -1, 0 or 1 times tanh of the coefficient of the authors' transform."""
    from scipy.fft import dctn

    directions = _Directions(PHOTO, SurFree(), np.random.default_rng(0))
    weights = np.tanh(dctn(PHOTO / 255, axes=(0, 1)))  # not orthonormal, as theirs

    first = directions.drawn()

    ratio = dctn(first, axes=(0, 1)) / weights
    low = np.add.outer(np.arange(SIDE), np.arange(SIDE)) < SIDE - 1
    signs = ratio[low] / np.abs(ratio[low]).max()
    np.testing.assert_allclose(np.abs(signs), np.round(np.abs(signs)), atol=1e-3)
    assert {-1, 0, 1} == set(np.round(signs).astype(int).ravel().tolist())


@pytest.mark.parametrize(
    "wrong", [{"queries": 0}, {"theta": 0}, {"theta": 90}, {"rho": 1}, {"frequencies": 0}, {"remembered": 0}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    """Before anything is asked, by the option's name."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        type(load.attack("surfree"))(**wrong)
