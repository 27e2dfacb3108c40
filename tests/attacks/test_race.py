"""How ways to move share queries."""

from __future__ import annotations

import numpy as np

from bbquery.attacks._race import Race


def share(race: Race, way: int) -> float:
    """Return how often a way is chosen, of 2,000 times."""
    rng = np.random.default_rng(0)
    return sum(race.choose(rng) == way for _ in range(2000)) / 2000


def test_worths_decide_at_first_and_are_forgotten() -> None:
    """Before anything is won, three times the worth gets about three times the queries; later, alike ways get alike."""
    race = Race([2.0, 2.0], [1.5, 0.5])
    assert 0.65 < share(race, 0) < 0.75  # .8 × 3/4 + .2 / 2 = .7
    for turn in range(2000):
        race.learn(turn % 2, 0.002, 2)
    assert 0.45 < share(race, 0) < 0.55


def test_what_wins_gets_the_queries() -> None:
    """Whatever was expected: the way that alone wins gets most of them."""
    race = Race([2.0, 2.0], [1.5, 0.5])
    for turn in range(400):
        race.learn(turn % 2, 0.004 * (turn % 2), 2)
    assert share(race, 1) > 0.7
