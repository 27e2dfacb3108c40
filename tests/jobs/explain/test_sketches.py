"""Sketches say what each copy changed, and change nothing themselves."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.jobs.explain import sketches
from bbquery.jobs.explain.sketches import Sketches
from bbquery.plan import Ask, Plan, Stopped, replay, together
from bbquery.types import Scores

PHOTO = np.random.default_rng(0).integers(0, 256, (23, 30, 3), dtype=np.uint8)


def answered(ask: Ask) -> Scores:
    return Scores.blank(len([ask.images[row] for row in range(len(ask.images))]))


def asking(*rows: int) -> Plan[int]:
    """A plan that asks for so many black copies, step by step."""
    for count in rows:
        yield Ask(np.zeros((count, *PHOTO.shape), np.uint8))
    return sum(rows)


def test_a_sketch_is_the_sum_of_changes_in_each_part() -> None:
    """Each pixel lies in one part, sums are exact, and what goes up and down in a part still shows as its size."""
    changed = PHOTO.copy()
    changed[0, 0], changed[-1, -2:, 1] = 255 - changed[0, 0], (0, 255)
    change = changed.astype(int) - PHOTO

    found = Sketches(PHOTO).sketch(changed)
    signed, size = found[:147].reshape(7, 7, 3), found[147:].reshape(7, 7)

    assert np.count_nonzero(size) == 2
    np.testing.assert_array_equal(signed[0, 0], change[0, 0])
    assert signed[6, 6, 1] == change[-1, -2:, 1].sum()
    assert size[6, 6] == np.abs(change[-1, -2:]).sum()
    np.testing.assert_allclose(Sketches(PHOTO / 255).sketch(changed / 255), found / 255, atol=1e-6)


def test_a_photo_of_few_pixels_has_a_part_for_each() -> None:
    """Nothing is divided that has no pixel."""
    tiny = np.zeros((1, 3, 3), np.uint8)

    assert list(Sketches(tiny).sketch(tiny + np.uint8(1))) == [1.0] * 9 + [3.0] * 3


def test_a_plan_asks_and_returns_the_same() -> None:
    """Every rendered row has a sketch, in the order of the rows, and the plan's result is its own."""
    watched = Sketches(PHOTO)

    assert replay(watched.of(asking(3, 2)), answered) == 5
    signed, size = watched.changes
    assert signed.shape == (5, 147)
    np.testing.assert_array_equal(size.sum(axis=1), np.full(5, PHOTO.sum(dtype=int)))
    assert watched.asks == [(3,), (2,)]


def test_plans_that_ask_together_are_told_apart() -> None:
    """The rows of each plan in an ask are counted by themselves."""
    watched = Sketches(PHOTO)

    replay(watched.of(together([asking(3, 1), asking(2)])), answered)

    assert watched.asks == [(3, 2), (1,)]


def test_a_stop_reaches_the_plan() -> None:
    """What was paid for before the stop is the plan's to use."""

    def plan() -> Plan[str]:
        try:
            yield Ask(np.zeros((2, *PHOTO.shape), np.uint8))
        except Stopped as stop:
            return stop.reason
        return "went on"

    watched = Sketches(PHOTO).of(plan())
    next(watched)
    with pytest.raises(StopIteration) as ended:
        watched.throw(Stopped("no money", Scores.blank(2)))
    assert ended.value.value == "no money"


def test_of_very_many_rows_the_first_are_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and what lies beyond is asked all the same."""
    monkeypatch.setattr(sketches, "MOST_ROWS", 4)
    watched = Sketches(PHOTO)

    assert replay(watched.of(asking(3, 3, 3)), answered) == 9
    assert len(watched.changes[0]) == 4
    assert len(watched.asks) == 3
