"""The plan that finds the smallest parts of a photo: closed forms, few queries, and second answers that differ."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.jobs.explain.bisection import FEWEST, Parts, SmallestParts, smallest_parts
from bbquery.plan import Ask, replay
from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.jobs.explain.bisection import Kind

    Keeps = Callable[[NDArray[np.bool_], int], bool | None]
    """Whether an answer is kept, by what is shown of the photo and how often that was asked before; None: no answer."""

SIDE = 20  # 400 pixels: four a step
X, FILLING = np.full((SIDE, SIDE, 3), 200, dtype=np.uint8), np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
RANKED = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)  # row by row from the top


class Model:
    """Answers whether `keeps` says so, and counts what it is asked: an equal question once, as the store does."""

    def __init__(self, keeps: Keeps) -> None:
        self._keeps, self._kept = keeps, dict[tuple[bytes, int], bool | None]()
        self.asked: list[bytes] = []

    @property
    def queries(self) -> int:
        return len(self._kept)

    def __call__(self, ask: Ask) -> Scores:
        rows = [self._row(ask.images[row], times) for row, times in enumerate(ask.repeats)]
        decided = [[int(kept) for kept in row if kept is not None] for row in rows]
        votes = [2 * sum(row) - len(row) for row in decided]
        decision = [
            Decision.UNDECIDED if vote == 0 else Decision.MET if vote > 0 else Decision.NOT_MET for vote in votes
        ]
        values = [float(np.mean(row)) if row else np.nan for row in decided]
        answers = np.array([len(row) for row in decided])
        return Scores(np.array(decision, dtype=np.int8), np.array(values), np.full(len(rows), np.nan), answers)

    def _row(self, image: NDArray[np.uint8], times: int) -> list[bool | None]:
        shown = image[..., 0] == X[..., 0]
        for sample in range(times):
            question = shown.tobytes(), sample
            if question not in self._kept:
                self.asked.append(question[0])
                self._kept[question] = self._keeps(shown, sample)
        return [self._kept[shown.tobytes(), sample] for sample in range(times)]


def found(keeps: Keeps, queries: int = 24) -> SmallestParts:
    return replay(smallest_parts(Parts(X, FILLING, RANKED), queries), Model(keeps))


@pytest.mark.parametrize(("first", "last"), [(0, 1), (3, 57), (100, 140), (0, 395)])
def test_the_smallest_shares_are_found_where_a_part_of_the_photo_decides(first: int, last: int) -> None:
    """A model that needs pixels `first` to `last` keeps its answer once all are shown, and loses it with the first."""
    model = Model(lambda shown, _: bool(shown.ravel()[first : last + 1].all()))

    parts = replay(smallest_parts(Parts(X, FILLING, RANKED), 24), model)

    assert parts.enough == last // 4 + 1  # four pixels a step
    assert parts.breaks == first // 4 + 1
    assert model.queries == len(parts.asked) <= 17  # all hidden, two bisections of 100 steps, and both again


def test_an_answer_that_needs_nothing_of_the_photo_is_found_out_at_once() -> None:
    """With all hidden the answer stays: that is asked twice and told, and no part is claimed to decide."""
    model = Model(lambda shown, _: True)

    parts = replay(smallest_parts(Parts(X, FILLING, RANKED), 24), model)

    assert (parts.enough, parts.breaks, model.queries) == (0, None, 2)


def test_an_answer_that_nothing_less_than_the_photo_keeps_has_no_part_that_is_enough() -> None:
    """The whole photo is no part, so nothing is told to be enough; the first pixels hidden break it."""
    parts = found(lambda shown, _: bool(shown.all()))

    assert (parts.enough, parts.breaks) == (None, 1)


def test_no_answer_is_neither_kept_nor_changed() -> None:
    """A model that refuses whatever lacks a pixel has lost no answer, so nothing is claimed."""
    parts = found(lambda shown, _: True if shown.all() else None)

    assert (parts.enough, parts.breaks) == (None, None)
    assert all(question.answered and not question.did for question in parts.asked)


def test_a_second_answer_that_differs_gives_way_to_the_next_larger_share() -> None:
    """A share that did it once alone is not told; the next larger one that did is asked again instead."""
    parts = found(lambda shown, again: shown.sum() >= (43 if again else 37))

    smallest, larger = (question for question in parts.asked if question.kind == "shown" and question.again)
    assert (smallest.share, smallest.did) == (40 / 400, False)
    assert (larger.share, larger.did) == (48 / 400, True)
    assert parts.enough == 12


def test_without_a_second_answer_nothing_is_told() -> None:
    """Where every second answer differs from the first, both facts are missing."""
    parts = found(lambda shown, again: bool(shown.sum() >= 100) != bool(again) or bool(shown.all()))

    assert (parts.enough, parts.breaks) == (None, None)


@given(
    queries=st.integers(FEWEST, 60),
    chance=st.floats(0, 1),
    seed=st.integers(0, 2**16),
    stop=st.none() | st.integers(0, 60),
)
def test_no_more_is_asked_than_allowed_and_what_is_told_was_answered_twice(
    queries: int, chance: float, seed: int, stop: int | None
) -> None:
    """However a model answers and wherever it is stopped: no query too many, the same ones again, no idle claim."""

    def noisy(shown: NDArray[np.bool_], again: int) -> bool | None:
        drawn = np.random.default_rng((seed, again, *np.flatnonzero(np.diff(shown.ravel())).tolist())).random()
        return None if drawn < 0.05 else (drawn < chance) != (shown.mean() > 0.5)

    first, second = Model(noisy), Model(noisy)
    found, again = (
        replay(smallest_parts(Parts(X, FILLING, RANKED), queries), model, stop_after=stop) for model in (first, second)
    )

    assert first.queries <= min(queries, queries if stop is None else stop)
    assert first.asked == second.asked
    assert (found.enough, found.breaks) == (again.enough, again.breaks)
    answers = Counter(first.asked)
    claims: tuple[tuple[Kind, int | None], ...] = (("shown", found.enough), ("hidden", found.breaks))
    for kind, taken in claims:
        if taken is not None:
            shown = Parts(X, FILLING, RANKED).shown(kind, taken)
            assert answers[shown.tobytes()] == 2
            assert {noisy(shown, sample) for sample in (0, 1)} == {kind == "shown"}


def test_a_photo_of_few_pixels_is_taken_pixel_by_pixel() -> None:
    """Shares are no finer than pixels, and the share that is told is exactly what was shown."""
    x = np.full((2, 3, 3), 9, dtype=np.uint8)
    parts = Parts(x, np.zeros_like(x), np.arange(6).reshape(2, 3))

    assert parts.steps == 6
    assert [int(parts.shown("shown", k).sum()) for k in range(7)] == list(range(7))
    assert parts.share(2) == 2 / 6
