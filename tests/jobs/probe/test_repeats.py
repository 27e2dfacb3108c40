"""Repeats: the derivation against maps that were really estimated, and votes and means against exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.jobs.probe import repeats


@given(st.floats(0, 1), st.integers(2, 50))
def test_no_number_of_repeats_is_worth_more_than_one(reliability: float, often: int) -> None:
    """Whatever the noise, one answer a mask buys most with a fixed number of queries."""
    assert repeats.worth(reliability, often) <= repeats.worth(reliability, repeats.BEST) == 1


def variance_of_a_map(often: int, noise: float) -> float:
    """Return how much a cell of a centred map of 16 cells varies over 2,000 runs of 240 queries, so many a mask."""
    rng = np.random.default_rng(often)
    grids = rng.random((2000, 240 // often, 16)) < 0.5
    scores = grids.sum(axis=2) + rng.normal(0, noise / often**0.5, grids.shape[:2])  # with the mean of the repeats
    centred = scores - scores.mean(axis=1, keepdims=True)
    maps = np.einsum("rn,rnk->rk", centred, grids) / ((240 // often - 1) * 0.25)
    return float(maps.var(axis=0).mean())


def test_repeats_cost_a_map_what_is_derived() -> None:
    """With as much noise as signal, maps from 3 answers to each of a third as many masks vary 1 + 2 ρ as much."""
    between = 16 * 0.25

    once, thrice = (variance_of_a_map(often, between**0.5) for often in (1, 3))

    assert once / thrice == pytest.approx(repeats.worth(0.5, 3), rel=0.05)


@pytest.mark.parametrize(("reliability", "answers"), [(1.0, 1), (0.8, 1), (0.5, 4), (0.2, 16), (0.0, None)])
def test_answers_to_trust_one_image(reliability: float, answers: int | None) -> None:
    """The mean of so many answers has a reliability of 0.8, by Spearman and Brown's formula."""
    found = repeats.trusted(reliability)

    assert found == answers
    assert found is None or found * reliability / (1 + (found - 1) * reliability) >= 0.8 - 1e-9


def majority_is_right(answers: int, flips: float) -> float:
    """Add up the distribution of flips answer by answer."""
    distribution = np.ones(1)
    for _ in range(answers):
        distribution = np.convolve(distribution, [1 - flips, flips])
    return float(distribution[: answers // 2 + 1].sum())


@pytest.mark.parametrize("flips", [0.0, 0.05, 0.1, 0.2, 0.3, 0.4])
def test_votes_are_the_fewest_that_are_right(flips: float) -> None:
    """The majority of so many answers is right 95 times in 100, and that of two fewer is not."""
    found = repeats.votes(flips)

    assert found is not None
    assert majority_is_right(found, flips) >= 0.95
    assert found == 1 or majority_is_right(found - 2, flips) < 0.95


def test_no_vote_decides_a_coin() -> None:
    """Where every other answer flips no number of votes helps."""
    assert repeats.votes(0.5) is None
