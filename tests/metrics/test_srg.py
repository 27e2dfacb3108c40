from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from bbquery.errors import UnknownName, UsageError
from bbquery.metrics.srg import DeletionInsertion, coarse_first
from bbquery.perturb.baselines import filling
from bbquery.plan import Ask, Yielded, replay, step
from bbquery.types import FLOAT, UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.types import Image

SIZE = (6, 8)
RNG = np.random.default_rng(5)
WHITE = np.full((*SIZE, 3), 255, dtype=np.uint8)
PHOTO = RNG.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
WEIGHTS = RNG.permutation(48).reshape(SIZE).astype(float)  # all different
WEIGHTS /= WEIGHTS.sum()
BLACK = DeletionInsertion(steps=12, deletion_fill="black", insertion_fill=0.0)


def answer(score: Callable[[Image], float]) -> Callable[[Ask], Scores]:
    """Answer each row with the score of its image."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    return answers


def weighed(image: Image) -> float:
    """A score that adds up over pixels: 1 for a white photo, 0 for a black one."""
    return float(np.sum(WEIGHTS * image.mean(axis=-1))) / 255


def rows(metric: DeletionInsertion, x: Image, values: Any, seed: int = 0, domain: Any = UINT8) -> list[Image]:
    """Everything the metric asks."""
    asked = step(metric.plan(x, domain, values, seed), None)
    assert isinstance(asked, Yielded)
    return [asked.ask.images[row] for row in range(len(asked.ask.images))]


def test_the_curves_of_a_sum_are_its_sorted_partial_sums() -> None:
    """Where the score adds up over pixels, both curves are cumulative sums of the weights in the map's order."""
    curves = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(weighed))

    gained = np.concatenate([[0.0], np.cumsum(np.sort(WEIGHTS.ravel())[::-1])])[::4]
    np.testing.assert_allclose(curves.insertion, gained, atol=1e-12)
    np.testing.assert_allclose(curves.deletion, 1 - gained, atol=1e-12)
    np.testing.assert_allclose(curves.shares, np.arange(13) / 12)


def test_areas_follow_the_trapezium_rule() -> None:
    """Areas agree with SciPy's trapezium rule over the shares of pixels, and SRG is their difference."""
    curves = replay(BLACK.plan(PHOTO, UINT8, WEIGHTS, 0), answer(lambda image: float(image[2:, 3:].mean())))

    deletion, insertion = trapezoid(curves.deletion, curves.shares), trapezoid(curves.insertion, curves.shares)
    assert curves.deletion_auc == pytest.approx(deletion, rel=1e-12)
    assert curves.insertion_auc == pytest.approx(insertion, rel=1e-12)
    assert curves.srg == pytest.approx(insertion - deletion, rel=1e-12)


def test_a_reversed_map_swaps_the_curves_of_a_sum() -> None:
    """The worst order is as bad as the best is good: SRG changes its sign."""
    best = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(weighed))
    worst = replay(BLACK.plan(WHITE, UINT8, -WEIGHTS, 0), answer(weighed))

    assert best.srg > 0.3
    assert worst.srg == pytest.approx(-best.srg, abs=1e-12)


@given(steps=st.integers(1, 48), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_pixels_are_taken_in_equal_shares(steps: int, seed: int) -> None:
    """Each step takes as many pixels as every other, to within one, and the rows are as many as announced."""
    metric = DeletionInsertion(steps=steps, deletion_fill=0, insertion_fill=0)
    asked = rows(metric, WHITE, np.zeros(SIZE), seed)

    hidden = sorted((image[..., 0] == 0).sum() for image in asked)
    bounds = [k * 48 // steps for k in range(steps + 1)]
    assert hidden == sorted([*bounds, *(48 - b for b in bounds[:-1])])
    assert len(asked) == metric.queries


@given(steps=st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_every_step_is_asked_once(steps: int) -> None:
    """The coarse-to-fine order leaves no step out and repeats none."""
    assert sorted(coarse_first(steps)) == list(range(1, steps))


def test_coarse_steps_come_first() -> None:
    """Whatever was asked when a run stops is spread over the whole curve."""
    assert coarse_first(8) == [4, 2, 6, 1, 3, 5, 7]


def test_equal_values_are_ranked_by_the_seed() -> None:
    """Ties of a constant map are broken at random: another seed, another order; the same seed, the same order."""
    one, again, other = (rows(BLACK, WHITE, np.zeros(SIZE), seed)[3] for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert (one[: SIZE[0] // 2] == 0).any()
    assert (one[SIZE[0] // 2 :] == 0).any()


def test_only_ties_are_drawn() -> None:
    """A seed never reorders different values."""
    first, second = (rows(BLACK, WHITE, WEIGHTS, seed) for seed in (1, 2))

    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_fills_stand_where_pixels_are_hidden() -> None:
    """Deletion puts its fill where pixels are hidden and leaves the others; insertion starts at its own fill."""
    metric = DeletionInsertion(steps=2, deletion_fill=100.4, insertion_fill="blur")
    x, deleted, start, half_deleted, half_inserted = rows(metric, PHOTO, WEIGHTS)

    first = np.median(WEIGHTS) < WEIGHTS
    blur = np.rint(filling("blur", PHOTO)).astype(np.uint8)
    np.testing.assert_array_equal(x, PHOTO)
    np.testing.assert_array_equal(deleted, np.full_like(PHOTO, 100))
    np.testing.assert_array_equal(start, blur)
    np.testing.assert_array_equal(half_deleted, np.where(first[..., None], 100, PHOTO))
    np.testing.assert_array_equal(half_inserted, np.where(first[..., None], PHOTO, blur))
    assert half_deleted.dtype == np.uint8


def test_a_float_domain_gets_unrounded_fills() -> None:
    """Nothing is rounded for a function that takes floating-point pixels."""
    metric = DeletionInsertion(steps=1, deletion_fill=100.4)

    assert (rows(metric, PHOTO, WEIGHTS, domain=FLOAT)[1] == 100.4).all()


def test_rows_are_the_same_whenever_they_are_rendered() -> None:
    """A row is a function of its number alone, also with a fill of noise."""
    metric = DeletionInsertion(steps=4, deletion_fill="noise")
    asked = step(metric.plan(PHOTO, UINT8, WEIGHTS, 3), None)

    assert isinstance(asked, Yielded)
    np.testing.assert_array_equal(asked.ask.images[5], asked.ask.images[5])
    np.testing.assert_array_equal(asked.ask.images[1], rows(metric, PHOTO, WEIGHTS, 3)[1])


def test_missing_answers_are_interpolated_and_counted() -> None:
    """A refused row of a straight curve changes neither curve nor area, and is counted."""

    def flat(image: Image) -> float:
        share = float((image == 255).mean())
        return np.nan if 0.49 < share < 0.51 else share

    curves = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(flat))

    assert curves.unanswered == 2
    np.testing.assert_allclose(curves.insertion, np.arange(13) / 12)
    assert curves.deletion_auc == pytest.approx(0.5)


def test_a_curve_goes_on_level_beyond_its_last_answer() -> None:
    """Where the end itself is missing, nothing is made up: the nearest answer stands."""
    curves = replay(
        BLACK.plan(WHITE, UINT8, WEIGHTS, 0),
        answer(lambda image: np.nan if (image == 0).all() else float((image == 255).mean())),
    )

    assert curves.insertion[0] == curves.insertion[1] == pytest.approx(1 / 12)
    assert curves.deletion[12] == curves.deletion[11] == pytest.approx(1 / 12)


def test_without_any_answer_there_is_no_area() -> None:
    """No answer is not a score of zero."""
    curves = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(lambda _: np.nan))

    assert np.isnan([curves.deletion_auc, curves.insertion_auc, curves.srg]).all()
    assert curves.unanswered == 25


@pytest.mark.parametrize("paid", [5, 11, 24])
def test_every_paid_answer_counts(paid: int) -> None:
    """A run that is stopped gives curves through each answer it has, near the whole curves."""
    whole = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(weighed))
    part = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(weighed), stop_after=paid)

    assert part.unanswered == 25 - paid
    assert (part.insertion == whole.insertion).sum() >= (paid - 1) // 2
    assert part.srg == pytest.approx(whole.srg, abs=1.0 / (paid - 1))


def test_the_curves_say_how_they_were_made() -> None:
    """Numbers compare only at equal fills and steps, so the curves carry them."""
    curves = replay(BLACK.plan(WHITE, UINT8, WEIGHTS, 0), answer(weighed))

    assert (curves.deletion_fill, curves.insertion_fill, curves.steps) == ("black", 0.0, 12)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((8, 6)), "one value for each of the \\(6, 8\\) pixels"),
        (np.zeros((6, 8, 3)), "not of shape \\(6, 8, 3\\)"),
        (np.full(SIZE, np.nan), "finite everywhere"),
        (np.full(SIZE, np.inf), "finite everywhere"),
    ],
)
def test_a_map_that_ranks_nothing_is_refused(values: Any, told: str) -> None:
    """A map of another size, or with values that have no rank, is refused before anything is asked."""
    with pytest.raises(UsageError, match=told):
        step(BLACK.plan(WHITE, UINT8, values, 0), None)


def test_more_steps_than_pixels_are_refused() -> None:
    """A step takes at least one pixel."""
    with pytest.raises(UsageError, match="49 steps for 48 pixels"):
        step(DeletionInsertion(steps=49).plan(WHITE, UINT8, WEIGHTS, 0), None)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"deletion_fill": 256.0}, {"insertion_fill": -1}])
def test_bad_numbers_are_refused(bad: dict[str, Any]) -> None:
    """Steps below 1 and numbers that are no grey level are the caller's mistake."""
    with pytest.raises(UsageError, match=next(iter(bad))):
        DeletionInsertion(**bad)


@pytest.mark.parametrize("option", ["deletion_fill", "insertion_fill"])
def test_an_unknown_fill_is_refused(option: str) -> None:
    """The refusal says which fills there are."""
    bad: dict[str, Any] = {option: "gray"}
    with pytest.raises(UnknownName, match="grey"):
        DeletionInsertion(**bad)
