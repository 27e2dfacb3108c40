from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.perturb.blocks import BlockCopies, BlockMoments, coverage
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from bbquery.types import Domain

PHOTO = np.random.default_rng(5).integers(0, 256, (7, 9, 3)).astype(np.uint8)


def copies(domain: Domain = UINT8, *, rows: int = 50, block: tuple[int, int] = (3, 4)) -> BlockCopies:
    return BlockCopies(PHOTO, domain, "gaussian", 40.0, block, rows=rows, key=(1, 0))


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_only_the_block_is_changed_and_what_was_realised_is_what_was_sent(domain: Domain) -> None:
    """Outside its rectangle a copy is the photo; inside, photo plus what is reported is exactly what was sent."""
    noisy = copies(domain)

    for row in range(len(noisy)):
        place, change = noisy.realised(row)
        expected = PHOTO.astype(np.float64)
        expected[place] += change
        np.testing.assert_array_equal(noisy[row], expected)
        assert 1 <= change.shape[0] <= 3
        assert 1 <= change.shape[1] <= 4


def test_every_pixel_is_covered_as_often() -> None:
    """Corners too: rectangles hang over the border, and each pixel is covered with probability q."""
    rows = 2500
    noisy, covered = copies(rows=rows), np.zeros(PHOTO.shape[:2])
    for row in range(rows):
        place, _ = noisy.realised(row)
        covered[place] += 1

    q = coverage((7, 9), (3, 4))
    assert q == pytest.approx(12 / (9 * 12))
    assert np.abs(covered / rows - q).max() < 5 * np.sqrt(q * (1 - q) / rows)


def test_weights_are_the_score_function_of_what_was_realised() -> None:
    """Of Gaussian noise: z / σ²."""
    noisy = copies(FLOAT)

    np.testing.assert_allclose(noisy.weights(3)[1], noisy.realised(3)[1] / 40.0**2)


def test_there_are_no_rows_beyond_the_last() -> None:
    """A row that does not exist is an IndexError."""
    with pytest.raises(IndexError, match="row 50 of 50"):
        copies()[50]


@given(rows=st.integers(0, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_moments_are_those_of_the_rows_that_covered_a_pixel(rows: int, seed: int) -> None:
    """Each value has numpy's covariance and variance over the rows whose rectangle covered it."""
    rng = np.random.default_rng(seed)
    f, moments = rng.normal(5.0, 1.0, rows), BlockMoments((4, 3, 2))
    z = np.full((rows, 4, 3, 2), np.nan)
    for row in range(rows):
        top, left = rng.integers(0, 3), rng.integers(0, 2)
        place = slice(top, top + 2), slice(left, left + 2)
        z[row][place] = rng.normal(2.0, 1.0, (2, 2, 2))
        moments.add(place, z[row][place], float(f[row]))

    for place in np.ndindex(4, 3, 2):
        there = ~np.isnan(z[(slice(None), *place)])
        values, scores = z[(slice(None), *place)][there], f[there]
        expected = np.cov(scores, values) if len(values) > 1 else np.zeros((2, 2))
        assert moments.covariance()[place] == pytest.approx(expected[0, 1], abs=1e-9)
        assert moments.variance()[place] == pytest.approx(expected[1, 1], abs=1e-9)
        assert moments.product()[place] == pytest.approx((scores * values).sum(), abs=1e-9)
        assert moments.squares()[place] == pytest.approx((values**2).sum())
    assert moments.mean_score == pytest.approx(f.mean() if rows else np.nan, nan_ok=True)
