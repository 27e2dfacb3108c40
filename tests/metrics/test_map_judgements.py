from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr

from bbquery.errors import UsageError
from bbquery.metrics import Box
from bbquery.metrics._boxes import inside
from bbquery.metrics.aopc import aopc
from bbquery.metrics.gradient_cosine import gradient_cosine
from bbquery.metrics.grid_pointing import cell_share, montage
from bbquery.metrics.pointing import hits, pointing_accuracy
from bbquery.metrics.r_sal import r_sal
from bbquery.metrics.repeatability import repeatability

FLOATS = st.floats(-1e3, 1e3, allow_nan=False, width=32)
MAPS = arrays.arrays(np.float64, (5, 6), elements=FLOATS)
FEW_VALUES = arrays.arrays(np.float64, (5, 6), elements=st.sampled_from([-1.0, -0.0, 0.0, 2.0]))


# --- AOPC ---


def test_aopc_is_the_mean_share_that_is_lost() -> None:
    """A score that falls 0.8, 0.6, 0.2, 0 has lost 0, 1/4, 3/4 and all: on average a half."""
    assert aopc(np.array([0.8, 0.6, 0.2, 0.0])) == pytest.approx(0.5)


@pytest.mark.parametrize("first", [0.0, -1.0, math.nan])
def test_aopc_of_a_score_that_is_not_positive_is_nothing(first: float) -> None:
    """A share of a score at or below 0 has no meaning, so none is given."""
    assert math.isnan(aopc(np.array([first, -2.0])))


# --- boxes, r_sal ---


def test_a_box_is_counted_from_the_top_left() -> None:
    """Columns go right and rows go down, both from 0, and what hangs over the border is cut off."""
    found = inside([Box(x=1, y=2, width=3, height=1), Box(x=-1, y=-1, width=2, height=2)], (4, 5))

    expected = np.zeros((4, 5), dtype=bool)
    expected[2, 1:4] = True
    expected[0, 0] = True
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "boxes", [[], [Box(5, 0, 2, 2)], [Box(0, 0, 0, 2)], [Box(0, -3, 2, 2)], [Box(0, 0, 2, 2), Box(0, 4, 1, 1)]]
)
def test_a_box_beyond_the_map_is_refused(boxes: list[Box]) -> None:
    """No box, or one without a pixel on the map, is the caller's mistake."""
    with pytest.raises(UsageError, match="box"):
        inside(boxes, (4, 5))


def test_r_sal_is_the_share_of_the_positive_side_inside() -> None:
    """Negative values count as 0 and overlapping boxes count once."""
    values = np.array([[3.0, 1.0, -5.0], [0.0, 2.0, 6.0]])

    assert r_sal(values, [Box(0, 0, 2, 1), Box(1, 0, 1, 2)]) == pytest.approx(6 / 12)


def test_what_the_oracle_did_not_see_is_neither_inside_nor_outside() -> None:
    """NaN values of a map in the photo's coordinates leave the ratio to the others."""
    values = np.array([[np.nan, 1.0, 3.0]])

    assert r_sal(values, [Box(0, 0, 2, 1)]) == pytest.approx(0.25)


def test_a_map_without_a_positive_side_has_no_r_sal() -> None:
    """Nothing divided by nothing is not 0."""
    assert math.isnan(r_sal(-np.ones((2, 2)), [Box(0, 0, 1, 1)]))


@given(values=MAPS)
@settings(max_examples=50, deadline=None)
def test_r_sal_of_complementary_boxes_adds_up(values: Any) -> None:
    """Left and right half together have all of the positive side."""
    left, right = r_sal(values, [Box(0, 0, 2, 5)]), r_sal(values, [Box(2, 0, 4, 5)])

    assert left + right == pytest.approx(1.0) or (values <= 0).all()


# --- the pointing game ---


def peak_at(row: int, column: int) -> Any:
    """A map of 40 × 50 pixels with one peak."""
    values = np.zeros((40, 50))
    values[row, column] = 1.0
    return values


@pytest.mark.parametrize(
    ("row", "column", "hit"),
    [(10, 10, True), (30, 12, False), (29, 12, True), (10, 29, True), (10, 30, False), (23, 23, True), (26, 26, False)],
)
def test_a_peak_within_fifteen_pixels_of_the_box_hits(row: int, column: int, hit: bool) -> None:
    """The distance is from centre to centre of pixels, so the box's last row and column, 14, are 15 from 29."""
    assert hits(peak_at(row, column), [Box(5, 5, 10, 10)]) is hit


def test_the_tolerance_can_be_chosen() -> None:
    """With no tolerance the peak must be inside."""
    assert not hits(peak_at(10, 15), [Box(5, 5, 10, 10)], tolerance=0)
    assert hits(peak_at(10, 14), [Box(5, 5, 10, 10)], tolerance=0)


def test_equal_peaks_are_drawn() -> None:
    """A constant map does not always point to the top left: over seeds, it hits by the box's share of the area."""
    found = [hits(np.zeros((10, 10)), [Box(0, 0, 10, 5)], tolerance=0, seed=seed) for seed in range(200)]

    assert 0.36 < np.mean(found) < 0.64  # 4 standard deviations of a fair coin


def test_what_was_not_seen_is_no_peak() -> None:
    """NaN is never the highest, also not among negative values."""
    values = np.full((40, 50), -1.0)
    values[0, :] = np.nan
    values[39, 49] = -0.5

    assert hits(values, [Box(49, 39, 1, 1)], tolerance=0)


@pytest.mark.parametrize(("values", "tolerance"), [(np.full((3, 3), np.nan), 15), (np.ones((3, 3)), -1)])
def test_a_game_that_cannot_be_played_is_refused(values: Any, tolerance: float) -> None:
    """A map that is nowhere known, or a tolerance below 0, is the caller's mistake."""
    with pytest.raises(UsageError, match=r"NaN everywhere|tolerance"):
        hits(values, [Box(0, 0, 1, 1)], tolerance=tolerance)


def test_each_class_counts_once_in_the_accuracy() -> None:
    """Three cats of which one is hit, and one dog that is: 1/3 and 1, on average 2/3."""
    outcomes = [("cat", True), ("cat", False), ("dog", True), ("cat", False)]

    assert pointing_accuracy(outcomes) == pytest.approx(2 / 3)


def test_no_outcome_has_no_accuracy() -> None:
    """An empty game is refused, not scored."""
    with pytest.raises(UsageError, match="no outcome"):
        pointing_accuracy([])


# --- the grid pointing game ---


def test_a_montage_is_laid_out_in_rows() -> None:
    """Photo by photo from the top left, and its dtype stays."""
    photos = [np.full((2, 3, 3), level, dtype=np.uint8) for level in range(9)]

    found = montage(photos)

    np.testing.assert_array_equal(found[::2, ::3, 0], np.arange(9).reshape(3, 3))
    assert found.shape == (6, 9, 3)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_only_a_square_number_makes_a_montage(count: int) -> None:
    """Fewer than four photos, or a number without an integer root, are refused."""
    with pytest.raises(UsageError, match="no square montage"):
        montage([np.zeros((2, 2, 3))] * count)


def test_photos_of_different_sizes_make_no_montage() -> None:
    """Sizes are brought together by the caller, who knows how."""
    with pytest.raises(UsageError, match="one size"):
        montage([np.zeros((2, 2, 3))] * 3 + [np.zeros((2, 3, 3))])


@pytest.mark.parametrize("cells", [4, 9])
def test_a_flat_map_is_at_chance_in_every_cell(cells: int) -> None:
    """A map without preference gives each cell its share of the area."""
    shares = [cell_share(np.ones((12, 18)), cell, cells) for cell in range(cells)]

    assert shares == pytest.approx([1 / cells] * cells)


def test_cells_are_those_of_the_montage() -> None:
    """The cell of a photo in the map is where the montage put the photo."""
    photos = [np.zeros((2, 3, 3)) for _ in range(9)]
    photos[5] += 1.0

    found = [cell_share(montage(photos)[..., 0], cell, 9) for cell in range(9)]

    assert found == [0, 0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(("cell", "cells"), [(4, 4), (-1, 4), (0, 1), (0, 5)])
def test_a_cell_that_is_none_is_refused(cell: int, cells: int) -> None:
    """Cells are counted from 0 and are a square number."""
    with pytest.raises(UsageError, match=f"cell {cell} of {cells}"):
        cell_share(np.ones((6, 6)), cell, cells)


@pytest.mark.parametrize("shape", [(7, 6), (6, 7)])
def test_cells_divide_the_map_evenly(shape: tuple[int, int]) -> None:
    """A map that is not of a montage is refused."""
    with pytest.raises(UsageError, match="equal cells"):
        cell_share(np.ones(shape), 0, 4)


# --- the gradient's cosine ---


def test_the_cosine_of_known_angles() -> None:
    """60 degrees is a half, the same direction 1, the opposite -1, whatever the lengths."""
    one = np.array([[1.0, 0.0], [0.0, 0.0]])
    other = np.array([[0.5, math.sqrt(0.75)], [0.0, 0.0]])

    assert gradient_cosine(one, 7e200 * other) == pytest.approx(0.5)
    assert gradient_cosine(other, 1e-200 * other) == pytest.approx(1.0)
    assert gradient_cosine(other, -3 * other) == pytest.approx(-1.0)


def test_zero_has_no_direction() -> None:
    """The gradient of a score that does not move is compared with nothing."""
    assert math.isnan(gradient_cosine(np.zeros((2, 2)), np.ones((2, 2))))
    assert math.isnan(gradient_cosine(np.ones((2, 2)), np.zeros((2, 2))))


@pytest.mark.parametrize("other", [np.ones((3, 2)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_gradients_without_an_angle_are_refused(other: Any) -> None:
    """Another shape, or numbers that are none, are the caller's mistake."""
    with pytest.raises(UsageError, match="gradient"):
        gradient_cosine(np.ones((2, 2)), other)


# --- repeatability ---


@given(one=st.one_of(MAPS, FEW_VALUES), other=st.one_of(MAPS, FEW_VALUES))
@settings(max_examples=100, deadline=None)
def test_repeatability_is_spearmans_rank_correlation(one: Any, other: Any) -> None:
    """Agrees with SciPy on any two maps that have two different values, with ties or without."""
    found = repeatability(one, other)

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic, abs=1e-12)


def test_what_neither_map_saw_is_left_out() -> None:
    """NaN in both maps, where the oracle saw nothing, changes nothing."""
    one, other = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1.0, 3.0, 2.0, 4.0]])
    hole = np.array([[np.nan, np.nan]])

    assert repeatability(np.hstack([hole, one]), np.hstack([hole, other])) == repeatability(one, other)


@pytest.mark.parametrize("other", [np.ones((1, 3)), np.array([[np.nan, 1.0]])])
def test_maps_of_different_photos_are_refused(other: Any) -> None:
    """Another shape, or a NaN where the other map has a value, means that they are not of one question."""
    with pytest.raises(UsageError, match=r"shapes|NaN"):
        repeatability(np.ones((1, 2)), other)
