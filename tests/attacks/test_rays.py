"""RayS: blocks of signs, and the nearest corner of a cube at a plane."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bbquery.attacks.rays import RayS, blocks
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Scores
from tests.attacks.test_directions import MARGIN, Plane, X, normal

EXACT = MARGIN / float(np.mean(np.abs(normal())))  # the smallest largest change that reaches the plane


def test_blocks_halve_down_to_single_values_again_and_again() -> None:
    """All, halves, quarters: each level covers every value once, the last one is repeated."""
    taken = [tuple(range(6))[block] for block in itertools.islice(blocks(6), 1 + 2 + 3 + 6 + 6)]

    singles = [(value,) for value in range(6)]
    assert taken == [tuple(range(6)), (0, 1, 2), (3, 4, 5), (0, 1), (2, 3), (4, 5), *singles, *singles]


def test_the_nearest_corner_of_a_plane_is_found() -> None:
    """At a plane each flip helps or not whatever the others are: with float pixels the distance is exact."""
    found = replay(RayS(queries=600).plan(X, FLOAT, 0), Plane())

    assert found.norm == "linf"
    assert EXACT <= 255 * found.linf <= EXACT + 0.2


def test_on_whole_levels_the_distance_is_the_next_whole_one() -> None:
    """With 8-bit pixels the result is the first whole level beyond the exact distance, in fewer queries."""
    found = replay(RayS(queries=600).plan(UINT8.realise(X), UINT8, 0), Plane())
    published = replay(RayS(queries=600, eight_bit=False).plan(UINT8.realise(X), UINT8, 0), Plane())

    assert 255 * found.linf == math.ceil(EXACT)
    assert found.trace[-1].queries < published.trace[-1].queries


def test_on_whole_levels_only_what_is_nearer_is_asked() -> None:
    """Once something is adversarial, every later query is at least a level nearer than the nearest so far."""
    plane = Plane()
    replay(RayS(queries=300).plan(UINT8.realise(X), UINT8, 0), plane)

    nearest = math.inf
    for image in plane.asked:
        distance = float(np.abs(image - X).max())
        assert distance < nearest or nearest >= 127  # so far away all are black and white
        if np.mean((image - X) * plane.normal) >= plane.margin:
            nearest = distance


def test_a_flip_that_is_no_nearer_is_not_kept() -> None:
    """Where the label hangs on one value alone, flips of all others are tried and undone, as published."""

    def answer(ask: Ask) -> Scores:
        crossed = np.array([ask.images[row][0, 0, 0] <= 100 for row in range(len(ask.images))])
        return Scores(np.where(crossed, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - crossed)

    found = replay(RayS(queries=200).plan(X, FLOAT, 0), answer)

    assert found.best is not None
    assert np.all(found.best < X)


def test_values_are_flipped_channel_by_channel() -> None:
    """The first half of the values is the first channel and half of the second, row by row, as published."""
    plane = Plane()
    replay(RayS(queries=60).plan(X, FLOAT, 0), plane)

    signs = [np.sign(image - X).transpose(2, 0, 1).ravel().tolist() for image in plane.asked]
    mixed = next(each for each in signs if len(set(each)) > 1)
    assert signs[0] == [-1.0] * 18
    assert mixed[:9] in ([1.0] * 9, [-1.0] * 9)
    assert mixed[9:] == [-mixed[0]] * 9


def test_random_signs_are_asked_where_large_blocks_hit_nothing() -> None:
    """A label that changes for no corner of eighths is met by random signs; what follows depends on the seed."""
    one, other = Plane(55.0), Plane(55.0)

    found = replay(RayS(queries=400).plan(X, FLOAT, 0), one)
    replay(RayS(queries=400).plan(X, FLOAT, 1), other)

    assert found.best is not None
    assert not np.array_equal(one.asked, other.asked)


def test_an_attack_without_queries_is_refused() -> None:
    """At least one query is needed."""
    with pytest.raises(UsageError, match="queries"):
        RayS(queries=0)
