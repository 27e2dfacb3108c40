from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UnknownName, UsageError
from bbquery.plan import Ask, replay
from bbquery.saliency.occlusion import Occlusion, grid, spread
from bbquery.types import FLOAT, UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Image

SIZE = (7, 10)
WHITE = np.full((*SIZE, 3), 255.0)  # behind black, a copy of it is what is visible, times 255
EFFECTS = np.random.default_rng(1).normal(size=SIZE)


def answer(score: Callable[[Image], float]) -> Callable[[Ask], Scores]:
    """Answer each row with the score of its image."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    return answers


def additive(image: Image) -> float:
    """A score that adds up: 3 + Σ aₚ mₚ over the pixels p."""
    return 3.0 + float((EFFECTS * image[..., 0] / 255).sum())


def occlusion(**options: Any) -> Occlusion:
    return Occlusion(fill="black", **options)


def test_windows_of_one_pixel_find_the_effects_of_an_additive_score() -> None:
    """For f = b + Σ aₚ mₚ, hiding pixel by pixel loses aₚ, signs included."""
    found = replay(occlusion(window=1, stride=1, queries=71).plan(WHITE, FLOAT, 0), answer(additive))

    assert (found.rows, found.answered, found.signed, found.partial) == (71, 71, True, False)
    np.testing.assert_allclose(found.values, EFFECTS, atol=1e-12)


@pytest.mark.parametrize("side", [2, 3])
def test_larger_windows_find_the_mean_of_the_sums_over_them(side: int) -> None:
    """At a stride of 1, a pixel's value is the mean of Σ aₚ over all windows of this side that cover it."""
    found = replay(occlusion(window=side, stride=1).plan(WHITE, FLOAT, 0), answer(additive))

    height, width = SIZE
    sums: list[list[list[float]]] = [[[] for _ in range(width)] for _ in range(height)]
    for top in range(height - side + 1):
        for left in range(width - side + 1):
            for y in range(top, top + side):
                for x in range(left, left + side):
                    sums[y][x].append(EFFECTS[top : top + side, left : left + side].sum())
    np.testing.assert_allclose(found.values, [[np.mean(s) for s in row] for row in sums], atol=1e-12)


@given(
    stop_after=st.integers(0, 30),
    batch=st.integers(1, 31),
    refused=st.sets(st.integers(0, 28)),
    side=st.none() | st.floats(0.5, 9.5),
)
@settings(deadline=None, max_examples=60)
def test_stopped_anywhere_it_returns_the_map_of_exactly_the_answered_rows(
    stop_after: int, batch: int, refused: set[int], side: float | None
) -> None:
    """Stopped at any query, refusals anywhere: each pixel has the mean drop of the answered copies that hide it.

    Checked against the formula over what was really hidden in each.
    """
    sent: list[Image] = []

    def score(image: Image) -> float:
        sent.append(image)
        return math.nan if len(sent) - 1 in refused else additive(image)

    found = replay(
        occlusion(queries=29, batch=batch, window=side).plan(WHITE, FLOAT, 4), answer(score), stop_after=stop_after
    )

    kept = [row for row in range(len(sent)) if row not in refused]
    assert (found.rows, found.answered, len(sent)) == (29, len(kept), min(stop_after, 29))
    np.testing.assert_allclose(found.values, _formula(sent, kept), atol=1e-9)
    assert bool(found.notes) == (bool(kept) and 0 not in kept)


def _formula(sent: list[Image], kept: list[int]) -> NDArray[np.float64]:
    scores = {row: additive(sent[row]) for row in kept}
    reference = scores.get(0, float(np.mean(list(scores.values()) or [0])))
    hidden = np.array([1 - sent[row][..., 0] / 255 for row in kept if row]).reshape(-1, *SIZE)
    drops = np.array([reference - scores[row] for row in kept if row])
    cover = hidden.sum(axis=0)
    total = np.einsum("n,nyx->yx", drops, hidden)
    return np.where(cover > 1e-12, total / np.maximum(cover, 1e-12), 0.0)


@pytest.mark.parametrize("refusing_the_photo", [False, True])
def test_a_score_that_never_moves_has_no_map(refusing_the_photo: bool) -> None:
    """All drops of a constant are exactly 0, from the photo's score or from a mean: no rounding is evidence."""
    asked = iter(range(100))

    def score(image: Image) -> float:
        return math.nan if next(asked) == 0 and refusing_the_photo else 0.1

    assert not replay(occlusion(queries=30).plan(WHITE, UINT8, 0), answer(score)).values.any()


def noting(sent: list[Image]) -> Callable[[Ask], Scores]:
    """Answer with the additive score, and note every image that is asked."""

    def score(image: Image) -> float:
        sent.append(image)
        return additive(image)

    return answer(score)


def test_the_photo_is_asked_first_and_each_window_once() -> None:
    """The first row hides nothing, and no two rows of a grid are the same question."""
    sent: list[Image] = []

    replay(occlusion(window=3, stride=2).plan(WHITE, UINT8, 0), noting(sent))

    assert np.array_equal(sent[0], WHITE)
    assert len({image.tobytes() for image in sent}) == len(sent)


def test_the_seed_changes_the_order_alone() -> None:
    """Two seeds ask the same questions in another order, and find the same map."""
    sent: tuple[list[Image], list[Image]] = ([], [])

    maps = [replay(occlusion(queries=40).plan(WHITE, FLOAT, seed), noting(sent[seed])).values for seed in (0, 1)]

    orders = [[image.tobytes() for image in images] for images in sent]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-12)


@given(count=st.integers(1, 200), height=st.integers(1, 30), width=st.integers(1, 30))
@settings(deadline=None)
def test_a_budget_is_spread_over_the_whole_photo(count: int, height: int, width: int) -> None:
    """Exactly as many windows as are paid for lie within the photo, and between them cover every pixel of it."""
    windows = spread(count, (height, width), None)

    assert windows.shape == (count, 4)
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, 2:] <= np.array([height, width]) + 1e-9).all()
    middles = np.stack(np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij"), axis=-1)
    hidden = ((windows[:, None, None, :2] <= middles + 1e-9) & (middles - 1e-9 <= windows[:, None, None, 2:])).all(-1)
    assert hidden.any(axis=0).all()


@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), side=st.integers(1, 50), stride=st.integers(1, 20))
@settings(deadline=None)
def test_a_grid_reaches_from_edge_to_edge(size: tuple[int, int], side: int, stride: int) -> None:
    """Neighbours are a stride apart, the last nearer; as many as that takes, all of the side, the last at the edge."""
    windows = grid(size, side, stride)

    per_axis = [math.ceil((pixels - min(side, pixels)) / stride) + 1 for pixels in size]
    assert len(windows) == per_axis[0] * per_axis[1] == len(np.unique(windows, axis=0))
    assert windows[0, :2].tolist() == [0, 0]
    assert windows[-1, 2:].tolist() == list(size)
    assert np.array_equal(windows[:, 2:] - windows[:, :2], np.tile(np.minimum(side, size), (len(windows), 1)))
    assert set(np.diff(np.unique(windows[:, 0])).tolist()) <= set(range(stride + 1))


def test_a_side_without_a_stride_spreads_squares_of_it() -> None:
    """window=4 on a budget is as many squares of 4 pixels as are paid for."""
    windows = spread(11, SIZE, 4)

    np.testing.assert_allclose(windows[:, 2:] - windows[:, :2], 4)
    assert len(np.unique(windows, axis=0)) == 11


@pytest.mark.parametrize(("stride", "side"), [(2, 10), (8, 16)])
def test_a_stride_alone_takes_windows_of_a_third_or_of_two_strides(stride: int, side: float) -> None:
    """Without a window, windows have a third of the shorter side, or twice the stride where that is more."""
    windows = occlusion(stride=stride)._windows((29, 40))

    assert np.array_equal(windows, grid((29, 40), side, stride))


def test_a_budget_alone_takes_windows_of_a_third() -> None:
    """Without a stride either, many windows have a third of each side of the photo."""
    windows = spread(200, (60, 90), None)

    np.testing.assert_allclose(windows[:, 2:] - windows[:, :2], [[20, 30]] * 200)


def test_a_single_query_asks_for_the_photo_alone() -> None:
    """With nothing left for windows there is nothing to show."""
    found = replay(occlusion(queries=1).plan(WHITE, UINT8, 0), answer(additive))

    assert (found.rows, found.answered) == (1, 1)
    assert not found.values.any()


def test_a_grid_that_does_not_fit_is_refused_before_it_is_paid_for() -> None:
    """The message says how many queries it would take; nothing was asked."""
    with pytest.raises(UsageError, match=r"70 windows.*71 queries: allow queries=71"):
        next(occlusion(window=1, stride=1, queries=70).plan(WHITE, UINT8, 0))


@pytest.mark.parametrize("options", [{"window": 10}, {"window": 99.5, "queries": 3}], ids=str)
def test_windows_that_hide_everything_are_refused_before_they_are_paid_for(options: dict[str, Any]) -> None:
    """All answers would be to one image; nothing was asked."""
    with pytest.raises(UsageError, match="whole photo of 7 × 10 pixels"):
        next(occlusion(**options).plan(WHITE, UINT8, 0))


def test_windows_that_leave_a_column_are_asked() -> None:
    """One pixel less on the longer side is a question."""
    found = replay(occlusion(window=9, stride=1).plan(WHITE, FLOAT, 0), answer(additive))

    assert (found.rows, found.answered) == (3, 3)
    assert found.values.any()


def test_refusals_are_counted_by_what_could_be_seen() -> None:
    """Every row is in the count, refused ones where their share of visible pixels was."""
    asked = iter(range(100))
    found = replay(
        occlusion(window=7, stride=3).plan(WHITE, UINT8, 0),
        answer(lambda image: math.nan if next(asked) == 1 else additive(image)),
    )

    shown = {round(v.visible, 2): (v.asked, v.unanswered) for v in found.visibility}
    assert shown == {0.35: (2, 1), 0.95: (1, 0)}  # a window hides 7 of 10 columns


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"queries": 0}, UsageError),
        ({"batch": 0}, UsageError),
        ({"window": 0}, UsageError),
        ({"stride": -1}, UsageError),
        ({"stride": math.nan}, UsageError),
        ({"fill": "pink"}, UnknownName),
        ({"fill": 256}, UsageError),
    ],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any], kind: type[UsageError]) -> None:
    """What makes no sense is refused when it is said, by the name of the option."""
    with pytest.raises(kind, match=next(iter(options))):
        Occlusion(**options)
