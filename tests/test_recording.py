"""Scores that are kept, and a plan that is run again on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.perturb.rows import row_generator
from bbquery.plan import Ask, replay
from bbquery.recording import Recorded
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, Scores
from tests.support.images import tiny_images

X = tiny_images(1)[0]


def scores_of(rows: int, seed: int) -> Scores:
    drawn = row_generator((seed,), 0, 1).normal(size=(2, rows))
    drawn[0, ::3] = np.nan
    return Scores(np.full(rows, -1, dtype=np.int8), drawn[0], drawn[1], np.arange(rows))


@given(sizes=st.lists(st.integers(0, 9), max_size=6))
def test_what_is_kept_is_what_was_given(sizes: list[int]) -> None:
    """Every ask's scores come back to the bit, NaN, spread and counts included, however many rows it had."""
    recorded, given_ = Recorded(), [scores_of(rows, place) for place, rows in enumerate(sizes)]
    for scores in given_:
        recorded.add(scores)

    assert len(recorded) == len(sizes)
    for place, scores in enumerate(given_):
        for name in ("decision", "value", "spread", "answers"):
            kept, meant = getattr(recorded[place], name), getattr(scores, name)
            np.testing.assert_array_equal(kept, meant)
            assert kept.dtype == meant.dtype
    np.testing.assert_array_equal(recorded.values, np.concatenate([[], *(s.value for s in given_)]))


@pytest.mark.parametrize("ask", [-1, 1])
def test_there_are_no_other_asks(ask: int) -> None:
    """An ask that was not made has no scores, and they are not counted from the end."""
    recorded = Recorded()
    recorded.add(scores_of(2, 0))

    with pytest.raises(IndexError, match="of 1"):
        recorded[ask]


@pytest.mark.parametrize("queries", [1, 5, 20, 33, 50])
def test_a_plan_stopped_early_takes_the_first_scores(queries: int) -> None:
    """A plan that is run again and stopped gives what it gave when it was stopped there in the first place."""
    method, recorded = Rise(queries=50, batch=16), Recorded()

    def brightness(ask: Ask) -> Scores:
        value = np.array([float(ask.images[row].mean()) for row in range(len(ask.images))])
        return Scores(np.full(len(value), -1, dtype=np.int8), value)

    def noted(ask: Ask) -> Scores:
        recorded.add(scores := brightness(ask))
        return scores

    replay(method.plan(X, UINT8, 3), noted)
    again = replay(method.plan(X, UINT8, 3), recorded.answering(), stop_after=queries)

    live = replay(method.plan(X, UINT8, 3), brightness, stop_after=queries)
    np.testing.assert_array_equal(again.values, live.values)
    assert again.answered == min(queries, 50)
