"""The boundary attack: its steps, and how their lengths follow what they meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.attacks.boundary import Boundary, _Lengths
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores
from tests.support.known_boundaries import SIDE, plane


def asked(attack: Boundary, domain: Domain, start: Any) -> list[Any]:
    """Return the batches it asks about a grey photo all of whose changes are adversarial, without the start."""
    batches = list[Any]()

    def answer(ask: Ask) -> Scores:
        batches.append(np.stack([ask.images[row].astype(np.float64) for row in range(len(ask.images))]))
        return Scores(np.full(len(ask.images), Decision.NOT_MET, np.int8), np.zeros(len(ask.images)))

    replay(attack.plan(domain.realise(np.full((SIDE, SIDE, 3), 128.0)), domain, 0, start=start), answer)
    return batches[1:]


def length(change: Any) -> float:
    return float(np.sqrt(np.mean(change**2)))


def test_a_step_goes_aside_and_then_nearer() -> None:
    """A candidate is 1 % nearer than the last, in a direction turned by 1 %; every tenth step asks the sphere too."""
    start = 128 + np.random.default_rng(0).uniform(-40, 40, (SIDE, SIDE, 3))
    batches = asked(Boundary(queries=30), FLOAT, start)
    at = start - 128

    assert [len(batch) for batch in batches[:20]] == 2 * ([1] * 9 + [2])
    for batch in batches:
        change = batch[0] - 128
        assert length(change) == pytest.approx(0.99 * length(at), rel=1e-6)
        assert np.mean(change * at) / length(change) / length(at) == pytest.approx(1 / np.hypot(1, 0.01), abs=1e-9)
        if len(batch) == 2:
            assert length(batch[1] - 128) == pytest.approx(length(at), rel=1e-6)
        at = change


def test_aware_of_rounding_a_step_has_a_grey_level() -> None:
    """On whole grey levels the step aside is a level, which rounding leaves; published, it is too faint."""
    start = 128 + np.random.default_rng(0).integers(-20, 21, (SIDE, SIDE, 3))
    moved = {aware: asked(Boundary(queries=2, eight_bit=aware), UINT8, start)[0][0] - start for aware in (True, False)}

    assert 0.8 < length(moved[True]) < 1.3
    assert length(moved[False]) < 0.3


def test_lengths_follow_the_share_that_stays_adversarial() -> None:
    """Both grow where most points on the sphere are adversarial, and shrink where few are; candidates change ε."""
    many, few, mixed = (_Lengths(0.01, 0.01, 1.5) for _ in range(3))
    for turn in range(100):
        many.learn(sphere=True, candidate=turn % 5 == 0)
        few.learn(sphere=False, candidate=turn % 5 == 0)
        mixed.learn(sphere=turn % 3 == 0, candidate=turn < 30)

    assert (many.orthogonal, many.source) == pytest.approx((0.015, 0.015))
    assert (few.orthogonal, few.source) == pytest.approx((0.01 / 1.5, 0.01 / 1.5))
    assert (mixed.orthogonal, mixed.source) == pytest.approx((0.01, 0.01 * 1.5 / 1.5**2))


def test_awareness_of_rounding_comes_nearer() -> None:
    """On whole grey levels, the aware walk reaches a nearer image with the same queries."""
    for seed in range(3):
        boundary = plane(seed)
        aware, published = (
            replay(
                Boundary(queries=1500, eight_bit=eight_bit).plan(
                    UINT8.realise(boundary.photo), UINT8, seed, start=boundary.start
                ),
                boundary,
            ).rmse
            for eight_bit in (True, False)
        )
        assert aware < 0.9 * published


def test_bad_options_are_refused() -> None:
    """Each is named before anything is asked."""
    with pytest.raises(UsageError, match="orthogonal"):
        Boundary(orthogonal=0)
