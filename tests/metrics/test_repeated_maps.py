from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from bbquery.errors import UsageError
from bbquery.metrics.repeatability import Repeatability, agreement
from bbquery.plan import Ask, Yielded, replay, step
from bbquery.saliency import Method
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, SaliencyMap, Scores

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Image

PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def weighed(ask: Ask) -> Scores:
    """The brightness of the left half."""
    values = np.array([float(ask.images[row][:, :8].mean()) for row in range(len(ask.images))])
    return Scores((values > 0).astype(np.int8), values)


@dataclass
class SeedItself(Method):
    """A method whose map is its seed, everywhere."""

    queries: int = 2
    adaptive: bool = False

    def plan(self, x: Image, domain: Any, seed: int) -> Plan[SaliencyMap]:
        scores = yield Ask(np.stack([x, x]))
        return SaliencyMap(np.full(x.shape[:2], float(seed)), signed=True, unit="seed", rows=2, answered=len(scores))


@given(seed=st.integers(0, 2**31), repeats=st.integers(1, 9))
def test_further_maps_have_the_seeds_that_follow(seed: int, repeats: int) -> None:
    """Every map is of another seed than the first and than the others, in order."""
    metric = Repeatability(repeats=repeats)

    maps = replay(metric.plan(PHOTO, UINT8, SeedItself(), seed), weighed)

    assert [m.values[0, 0] for m in maps] == list(metric.seeds(seed)) == [seed + 1 + i for i in range(repeats)]


def test_a_whole_map_is_asked_each_time() -> None:
    """The queries are announced, and asked in lock-step."""
    metric, method = Repeatability(repeats=3), Rise(queries=20)
    asked = step(metric.plan(PHOTO, UINT8, method, 1), None)

    assert isinstance(asked, Yielded)
    assert asked.ask.queries == metric.queries(method) == 60


def test_a_further_map_is_that_of_its_seed() -> None:
    """It is the map that the method makes alone."""
    (found,) = replay(Repeatability(repeats=1).plan(PHOTO, UINT8, Rise(queries=30), 6), weighed)

    alone = replay(Rise(queries=30).plan(PHOTO, UINT8, 7), weighed)
    np.testing.assert_array_equal(found.values, alone.values)


def test_stopped_maps_rest_on_what_was_answered() -> None:
    """A run that ends early still has maps, which say that they are partial."""
    plan = Repeatability(repeats=2).plan(PHOTO, UINT8, Rise(queries=20, batch=10), 0)

    maps = replay(plan, weighed, stop_after=25)

    assert [m.answered for m in maps] == [15, 10]
    assert all(m.partial and m.values.any() for m in maps)


def test_agreement_is_that_of_all_pairs() -> None:
    """Mean and standard deviation of scipy's rank correlations of each two maps."""
    maps = list(np.random.default_rng(1).integers(0, 9, (4, 5, 6)).astype(float))
    pairs = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in itertools.combinations(maps, 2)]

    found = agreement(maps)

    assert found.pairs == 6
    assert found.mean == pytest.approx(np.mean(pairs), abs=1e-12)
    assert found.spread == pytest.approx(np.std(pairs, ddof=1), abs=1e-12)


def test_one_pair_has_no_spread() -> None:
    """Two maps agree, but nothing is known of how that varies."""
    found = agreement([np.arange(6.0).reshape(2, 3)] * 2)

    assert found.mean == pytest.approx(1.0)
    assert found.pairs == 1
    assert math.isnan(found.spread)


def test_a_constant_map_agrees_with_nothing() -> None:
    """It ranks no pixel, so the mean is not known."""
    maps = [np.arange(6.0).reshape(2, 3), np.zeros((2, 3)), np.ones((2, 3))]

    assert math.isnan(agreement(maps).mean)


def test_one_map_has_no_pair() -> None:
    """A single map is refused rather than said to repeat."""
    with pytest.raises(UsageError, match="at least two"):
        agreement([np.eye(3)])


def test_no_repeat_is_refused() -> None:
    """At least one further map is needed."""
    with pytest.raises(UsageError, match="repeats"):
        Repeatability(repeats=0)
