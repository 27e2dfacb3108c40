"""Where answers are yes or no, and nearly all alike, masks show more or less; elsewhere nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.plan import Ask, replay
from bbquery.saliency._flip_share import decided, flip, nearly_alike
from bbquery.saliency.designed import Designed
from bbquery.types import UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WHITE = np.full((28, 28, 3), 255, dtype=np.uint8)


def visible(ask: Ask) -> NDArray[np.float64]:
    """How much of a white photo before black is visible, 0 to 1."""
    return np.array([ask.images[row].mean() / 255 for row in range(len(ask.images))])


def shown(method: Designed, score: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return how much each row shows, where a score depends on that alone."""
    found: list[float] = []

    def answer(ask: Ask) -> Scores:
        found.extend(visible(ask))
        values = score(visible(ask))
        return Scores((values > 0.5).astype(np.int8), values)

    replay(method.plan(WHITE, UINT8, 3), answer)
    return np.array(found)


def yes_from(least: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda share: (share > least).astype(float)


@pytest.mark.parametrize("least", [0.1, 0.25, 0.75, 0.9])
def test_both_answers_are_found(least: float) -> None:
    """Wherever decisions flip, more than a twentieth of the later rows are answered yes, and as many no."""
    found = shown(Designed(queries=300, fill="black"), yes_from(least))

    assert 0.05 < (found[100:] > least).mean() < 0.95


def test_where_answers_differ_nothing_is_changed() -> None:
    """Where decisions flip about half, the very questions are asked that any score is asked in the first half."""
    decisions = shown(Designed(queries=300, fill="black"), yes_from(0.5))
    numbers = shown(Designed(queries=300, fill="black"), np.sqrt)

    assert (decisions[:150] == numbers[:150]).all()


@pytest.mark.parametrize(("answer", "toward"), [(1.0, np.less), (0.0, np.greater)])
def test_an_answer_that_never_changes_is_followed_as_far_as_it_goes(
    answer: float, toward: Callable[[object, object], bool]
) -> None:
    """While all answers are alike, ever less is shown, or ever more; never nothing, and never the whole photo."""
    found = shown(Designed(queries=300, fill="black"), lambda share: np.full(len(share), answer))

    assert toward(found[-50:].mean(), 0.1 if answer else 0.9)
    assert 0 < found.min() < found.max() < 1


def test_only_the_first_rows_do_not_follow() -> None:
    """The first 32 rows show about half, as those for any score do; from then on the share follows."""
    decisions = shown(Designed(queries=200, fill="black"), yes_from(0.05))
    numbers = shown(Designed(queries=200, fill="black"), np.sqrt)

    assert (decisions[:32] == numbers[:32]).all()
    assert decisions[32:].mean() < 0.3 < numbers[32:].mean()


def test_questions_that_are_shared_follow_no_answer() -> None:
    """Without refinement a decision changes no question, so that targets can share them."""
    method = Designed(queries=200, fill="black", refine=False)

    assert (shown(method, yes_from(0.05)) == shown(method, np.sqrt)).all()


def test_a_place_is_found_that_half_visible_masks_never_lose() -> None:
    """A label that goes with the last tenth of a region only is explained by it: half-visible masks all keep it."""

    def answer(ask: Ask) -> Scores:
        region = np.array([ask.images[row][7:21, 7:14].mean() / 255 for row in range(len(ask.images))])
        return Scores((region > 0.1).astype(np.int8), (region > 0.1).astype(float))

    found = replay(Designed(queries=400, fill="black", detail=False).plan(WHITE, UINT8, 1), answer).values

    inside = found[9:19, 8:13].mean()
    assert inside > 3 * abs(found[:, 20:].mean())


def test_means_of_decisions_are_decisions_and_other_numbers_are_none() -> None:
    """2 of 3 yeses is one; a probability is none, nor is no answer at all."""
    once, thrice = np.ones(2), np.full(2, 3.0)

    assert decided(np.array([0.0, 1.0]), once)
    assert decided(np.array([2 / 3, 1.0]), thrice)
    assert not decided(np.array([0.0, 0.3]), once)
    assert not decided(np.array([0.0, 2.0]), once)
    assert not decided(np.empty(0), np.empty(0))


def test_three_of_thirty_two_may_differ() -> None:
    """Up to a tenth of otherwise answered rows counts as nearly all alike, on either side."""
    for most in (0.0, 1.0):
        scores = np.full(32, most)
        scores[:3] = 1 - most
        assert nearly_alike(scores)
        scores[:4] = 1 - most
        assert not nearly_alike(scores)


def test_a_share_is_moved_to_where_both_answers_have_a_chance() -> None:
    """Of decisions that flip at .3: what shows much more or less is moved to a chance of a fifth, .3 stays."""
    rng = np.random.default_rng(0)
    visible = rng.uniform(0.1, 0.9, 2000)
    chance = 1 / (1 + np.exp(-6 * (visible - 0.3)))

    moved = flip(visible, (rng.random(2000) < chance).astype(float)).telling(np.array([0.02, 0.3, 0.9]))

    assert moved[1] == 0.3
    assert 1 / (1 + np.exp(-6 * (moved[[0, 2]] - 0.3))) == pytest.approx([0.2, 0.8], abs=0.07)


def test_refined_rows_that_show_what_matters_show_less_than_those_that_hide_it() -> None:
    """In the second half each kind of row has a share of its own, at which its answers differ."""
    rows: list[tuple[float, float, float]] = []

    def answer(ask: Ask) -> Scores:
        left = np.array([ask.images[row][:, :14].mean() / 255 for row in range(len(ask.images))])
        values = (left > 0.08).astype(float)
        rows.extend(zip(left, visible(ask), values, strict=True))
        return Scores(values.astype(np.int8), values)

    replay(Designed(queries=400, fill="black").plan(WHITE, UINT8, 2), answer)

    left, share, values = np.array(rows[200:]).T
    shows = left > share
    assert share[shows].mean() < share[~shows].mean()
    assert all(0 < values[kind].mean() < 1 for kind in (shows, ~shows))


def test_what_turns_out_to_be_no_decision_is_asked_as_any_score() -> None:
    """Another number than 0 and 1 ends it, and no query is asked twice or beyond the budget."""
    asked = 0

    def answer(ask: Ask) -> Scores:
        nonlocal asked
        before, asked = asked, asked + len(ask.images)
        values = np.where(np.arange(before, asked) < 40, 1.0, 0.4)
        return Scores((values > 0.5).astype(np.int8), values)

    assert replay(Designed(queries=140, fill="black").plan(WHITE, UINT8, 2), answer).answered == asked == 140
