"""Boxes: their edges, and how far two of them overlap."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.images.boxes import Box

shares = st.floats(0, 1)
pairs = st.tuples(shares, shares).map(sorted)
boxes = st.builds(lambda across, down: Box.of(across[0], down[0], across[1], down[1]), pairs, pairs)
squares = st.builds(
    lambda left, top: Box.of(left / 8, top / 8, (left + 2) / 8, (top + 2) / 8), *[st.integers(0, 6)] * 2
)


@pytest.mark.parametrize(
    "edges",
    [(0.5, 0, 0.4, 1), (0, 0.5, 1, 0.4), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (math.nan, 0, 1, 1), (0, 0, 1, math.inf)],
)
def test_what_is_no_box_is_refused(edges: tuple[float, float, float, float]) -> None:
    """Edges outside the image, or beyond their opposites, are a ValueError that shows them."""
    with pytest.raises(ValueError, match="a box is left, top, right and bottom, each 0 to 1, not"):
        Box.of(*edges)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (Box(0, 0, 0.5, 0.5), 1),
        (Box(0.25, 0, 0.75, 0.5), 1 / 3),
        (Box(0, 0, 1, 1), 0.25),
        (Box(0.5, 0, 1, 0.5), 0),  # they touch
        (Box(0.6, 0.6, 0.9, 0.9), 0),
        (Box(0.1, 0.1, 0.1, 0.4), 0),  # no area
    ],
)
def test_overlap_is_intersection_over_union(other: Box, overlap: float) -> None:
    """The share of what either box covers that both cover."""
    assert Box(0, 0, 0.5, 0.5).overlap(other) == pytest.approx(overlap)


@given(boxes, boxes)
def test_overlap_is_a_share_whatever_the_order(one: Box, other: Box) -> None:
    """0 to 1, the same both ways, and 1 of a box with itself, unless it has no area."""
    assert 0 <= one.overlap(other) <= 1
    assert one.overlap(other) == other.overlap(one)
    assert one.overlap(one) == (1 if one.area > 0 else 0)


@given(squares, squares)
def test_overlap_counts_cells(one: Box, other: Box) -> None:
    """Of boxes on a grid it is the number of cells in both over that in either."""

    def cells(box: Box) -> set[tuple[int, int]]:
        left, top, right, bottom = (round(edge * 8) for edge in box)
        return {(x, y) for x in range(left, right) for y in range(top, bottom)}

    assert one.overlap(other) == pytest.approx(len(cells(one) & cells(other)) / len(cells(one) | cells(other)))


def test_a_box_around_points_stays_on_the_image() -> None:
    """The smallest one that holds all of them; corners that a vendor puts beyond the image are cut off."""
    assert Box.around([0.5, -0.2, 0.3], [0.1, 1.5, 0.4]) == Box(0, 0.1, 0.5, 1)
    with pytest.raises(ValueError, match="not a number"):
        Box.around([0.5, math.nan], [0.1, 0.2])
    with pytest.raises(ValueError):  # noqa: PT011 - of no points
        Box.around([], [])


def test_a_box_is_shown_as_it_is_typed() -> None:
    """Two digits an edge, in brackets."""
    assert f"{Box(0.1, 0, 0.505, 1)}" == "[0.10,0.00,0.51,1.00]"
