from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.estimators.statistics.differences import ForwardDifferences
from bbquery.estimators.statistics.pairs import PairedMoments

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Fixed:
    """Perturbations given as an array (n, ...)."""

    def __init__(self, z: NDArray[np.float64]) -> None:
        self.z = z

    def realised(self, row: int) -> NDArray[np.float64]:
        return np.asarray(self.z[row])


def regressed(z: NDArray[np.float64], f: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return slope of f on each column of z with one mean a group, by least squares, and the degrees of freedom."""
    there = ~np.isnan(f)
    both = np.array([there[i] and (i ^ 1) < len(f) and there[i ^ 1] for i in range(len(f))])
    group = np.where(both, np.arange(len(f)) // 2, -1)[there]
    dummies = (group[:, None] == np.unique(group)).astype(float)
    slopes = [np.linalg.lstsq(np.column_stack([dummies, column]), f[there])[0][-1] for column in z[there].T]
    # a pair has one degree of freedom, and counts as its two rows since its perturbation is mirrored
    alone = int((group == -1).sum())
    return np.array(slopes), float(both.sum() + max(alone - 1, 0))


@given(rows=st.integers(2, 13), refused=st.sets(st.integers(0, 12)), cut=st.integers(0, 6))
@settings(deadline=None, max_examples=60)
def test_slopes_are_those_of_least_squares_with_a_mean_for_each_pair(rows: int, refused: set[int], cut: int) -> None:
    """Any refusals, any batches: the slope is numpy's least squares with one mean a pair and one for rows alone."""
    rng = np.random.default_rng(rows)
    z, f = rng.normal(size=(rows, 3)), rng.normal(size=rows)
    f[[row for row in refused if row < rows]] = np.nan
    moments = PairedMoments((3,))

    moments.add(Fixed(z[: 2 * cut]), f[: 2 * cut])
    moments.add(Fixed(z[2 * cut :]), f[2 * cut :])

    slopes, freedom = regressed(z, f)
    if freedom:
        np.testing.assert_allclose(moments.slope(), slopes, atol=1e-9)
    else:
        assert not moments.slope().any()
    assert moments.answered == np.count_nonzero(~np.isnan(f))
    assert moments.mean_score == pytest.approx(np.nanmean(f) if moments.answered else math.nan, nan_ok=True)


def test_the_weighted_mean_of_mirrored_pairs_is_that_of_their_rows() -> None:
    """For z and -z the mean of f z over the rows, as the paper has it, is what is returned."""
    z = np.random.default_rng(0).normal(size=(5, 2))
    mirrored, f = np.stack([z, -z], axis=1).reshape(10, 2), np.random.default_rng(1).normal(size=10)
    moments = PairedMoments((2,))

    moments.add(Fixed(mirrored), f)

    np.testing.assert_allclose(moments.weighted(), (f[:, None] * mirrored).mean(axis=0))


@pytest.mark.parametrize("photo", [0.5, math.nan])
def test_forward_differences_are_taken_to_the_photo_if_it_was_answered(photo: float) -> None:
    """Against the photo's score where there is one, else against the mean of the others."""
    rng = np.random.default_rng(0)
    z, f = np.vstack([np.zeros(2), rng.normal(size=(6, 2))]), np.append(photo, rng.normal(size=6))
    found = ForwardDifferences((2,))

    found.add(Fixed(z[:3]), f[:3])
    found.add(Fixed(z[3:]), f[3:])

    ahead, score = z[1:], f[1:]
    if math.isnan(photo):
        moments = np.cov(np.column_stack([score, ahead]), rowvar=False)
        expected, spread = moments[0, 1:], np.diag(moments)[1:]
    else:
        expected, spread = ((score - photo)[:, None] * ahead).mean(axis=0), (ahead**2).mean(axis=0)
    np.testing.assert_allclose(found.weighted(), expected, atol=1e-12)
    np.testing.assert_allclose(found.spread(), spread, atol=1e-12)
    assert found.answered == np.count_nonzero(~np.isnan(f))
    assert found.mean_score == pytest.approx(np.nanmean(f))


@pytest.mark.parametrize("photo", [0.5, math.nan])
def test_with_the_photo_alone_there_is_nothing_to_compare(photo: float) -> None:
    """No other answer: no slope, and the mean score is the photo's."""
    found = ForwardDifferences((2,))

    found.add(Fixed(np.zeros((2, 2))), np.array([photo, math.nan]))

    assert not found.weighted().any()
    assert found.mean_score == pytest.approx(photo, nan_ok=True)
    assert ForwardDifferences((2,)).answered == 0
