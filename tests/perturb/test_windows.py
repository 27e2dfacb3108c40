from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.perturb.baselines import filling
from bbquery.perturb.windows import NOTHING_HIDDEN, HiddenWindows, hidden_shares, squares
from bbquery.types import FLOAT, UINT8

HEIGHT, WIDTH = SIZE = (6, 9)
PHOTO = np.random.default_rng(3).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
WHITE = np.full((*SIZE, 3), 255.0)
BLACK = np.zeros((*SIZE, 3))

edges = st.tuples(*(st.floats(-3, 12) for _ in range(4)))


def window(*edges: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([edges], dtype=np.float64)


@given(st.tuples(st.integers(0, 6), st.integers(0, 9)), st.tuples(st.integers(0, 6), st.integers(0, 9)))
@settings(deadline=None)
def test_a_window_of_whole_pixels_hides_them_and_nothing_else(one: tuple[int, int], other: tuple[int, int]) -> None:
    """Within the edges stands the filling, outside them the photo, to the grey level."""
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(one, other, strict=True))
    expected = PHOTO.copy()
    expected[top:bottom, left:right] = 127

    (found,) = HiddenWindows(PHOTO, window(top, left, bottom, right), UINT8, np.full(PHOTO.shape, 127.0))[0][None]

    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_a_pixel_is_hidden_to_the_share_that_is_covered() -> None:
    """A window from the middle of one pixel to three quarters of the next hides half of one, three quarters of one."""
    found = HiddenWindows(WHITE, window(1, 2.5, 2, 3.75), FLOAT, BLACK)[0] / 255

    expected = np.ones(SIZE)
    expected[1, 2], expected[1, 3] = 0.5, 0.25
    np.testing.assert_allclose(found, np.repeat(expected[..., None], 3, axis=-1))


def test_on_grey_levels_what_is_blended_is_rounded() -> None:
    """A pixel of 255 that is half hidden behind black is sent as 128: 127.5, rounded half to even."""
    found = HiddenWindows(WHITE, window(0, 0, 1, 0.5), UINT8, BLACK)[0]

    assert found[0, 0].tolist() == [128, 128, 128]


def test_a_window_of_no_size_is_the_photo_itself() -> None:
    """Nothing is hidden behind it, to the bit."""
    assert np.array_equal(HiddenWindows(PHOTO, NOTHING_HIDDEN, UINT8, filling("blur", PHOTO))[0], PHOTO)


@given(st.lists(edges, min_size=1, max_size=4))
@settings(deadline=None)
def test_the_hidden_share_is_that_of_the_rendered_copy(drawn: list[tuple[float, float, float, float]]) -> None:
    """Wherever its edges lie, also beyond the photo, a window hides the share that its copy of a white photo lost."""
    windows = np.array([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in drawn])
    copies = HiddenWindows(WHITE, windows, FLOAT, BLACK)

    lost = [1 - copies[row].mean() / 255 for row in range(len(copies))]

    np.testing.assert_allclose(hidden_shares(windows, SIZE), lost, atol=1e-12)


@pytest.mark.parametrize("row", [-1, 1])
def test_there_are_no_other_rows(row: int) -> None:
    """Rows are counted from 0 to the last, and not from the end."""
    with pytest.raises(IndexError, match=f"row {row} of 1"):
        HiddenWindows(PHOTO, NOTHING_HIDDEN, UINT8, BLACK)[row]


def test_squares_lie_around_their_centres() -> None:
    """A side of 4 around (5, 7) reaches from 3 to 7 down and from 5 to 9 across."""
    assert squares(np.array([[5.0, 7.0]]), np.array([4.0])).tolist() == [[3, 5, 7, 9]]
