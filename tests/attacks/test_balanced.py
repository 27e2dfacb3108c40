"""Where a base settles, around which copies are asked."""

from __future__ import annotations

import pytest

from bbquery.attacks._balanced import LEAST_SLIDE, Balance, Settling


def test_a_base_that_swings_comes_to_rest() -> None:
    """Where all copies change and then none, in turn, the base moves less and less, down to half the least slide."""
    balance = Settling()

    moves = []
    for turn in range(20):
        before = balance.factor
        balance.follow(float(turn % 2))
        moves.append(abs(balance.factor / before - 1))

    assert moves[0] == pytest.approx(0.05)
    assert moves[-1] == pytest.approx(LEAST_SLIDE / 2)


def test_a_base_that_lags_behind_catches_up() -> None:
    """At rest, it soon follows as fast as one that never settles, once several batches say the same."""
    settling, plain = Settling(), Balance()
    for turn in range(20):
        settling.follow(float(turn % 2))

    for _ in range(10):
        settling.follow(0.0)
    before = settling.factor
    settling.follow(0.0)
    plain.follow(0.0)

    assert settling.factor / before == pytest.approx(plain.factor)
