"""Ranking of measured methods on one photo: what is told apart, and what is tied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bbquery.jobs.compare.ranking import ranking, stretches
from bbquery.metrics.srg import Curves

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = np.linspace(0, 1, 57)
ARCH = np.sin(np.pi * SHARES)


def curves(above: NDArray[np.float64] | float) -> Curves:
    """Curves whose insertion lies so far above deletion."""
    deletion = np.full(57, 0.2)
    return Curves(SHARES, deletion, deletion + above, "grey", "blur", 0)


def test_what_is_better_all_along_the_curves_is_told_apart() -> None:
    """A method that is above another at all shares ranks before it; the better is named first."""
    found = ranking([curves(0.1 * ARCH), curves(0.5 * ARCH)])

    assert (found.order, found.ranks, found.ties) == ((1, 0), (1, 2), ())
    assert (found.pairs[0].one, found.pairs[0].other) == (1, 0)
    assert found.pairs[0].difference.low > 0


def test_what_is_better_at_some_shares_and_worse_at_others_is_tied() -> None:
    """A larger SRG that rests on a part of the curve alone is no better rank."""
    early, late = np.where(SHARES < 0.5, 0.4, -0.1), np.where(SHARES < 0.5, -0.1, 0.35)

    found = ranking([curves(early), curves(late)])

    assert found.order == (0, 1)
    assert found.ranks == (1, 1)
    assert len(found.ties) == 1


def test_the_same_curves_are_tied() -> None:
    """Two methods of the same answers differ by nothing, with no width: that excludes nothing."""
    assert ranking([curves(ARCH), curves(ARCH)]).ranks == (1, 1)


def test_what_was_not_measured_has_no_rank() -> None:
    """A method without curves, or whose curves have no answer, is left out and moves no other."""
    found = ranking([None, curves(np.nan), curves(0.5 * ARCH)])

    assert (found.order, found.ranks, found.pairs) == ((2,), (1,), ())
    assert ranking([None]).order == ()


@given(above=arrays(np.float64, 57, elements=st.floats(-1, 1)))
def test_the_mean_of_the_stretches_is_the_srg(above: NDArray[np.float64]) -> None:
    """The interval is about the number that is reported: its centre is the SRG."""
    each = curves(above)

    assert stretches(each).mean() == pytest.approx(each.srg, abs=1e-12)
    (srg,) = ranking([each]).srg
    assert srg.low <= each.srg + 1e-12
    assert srg.high >= each.srg - 1e-12


@pytest.mark.parametrize("several", [2, 8])
def test_noise_seldom_tells_any_two_of_several_methods_apart(several: int) -> None:
    """Of eight methods that differ by noise alone, any two are told apart in one comparison of twenty, as of two."""
    rng = np.random.default_rng(1)

    wrong = sum(
        any(pair.told_apart for pair in ranking([curves(rng.normal(size=57)) for _ in range(several)]).pairs)
        for _ in range(300)
    )

    assert wrong / 300 <= 0.08


def test_the_noise_of_answers_alone_seldom_tells_methods_apart() -> None:
    """Of two methods whose curves differ by noise alone, about one pair in twenty is told apart."""
    rng = np.random.default_rng(0)

    wrong = sum(not ranking([curves(rng.normal(size=57)), curves(rng.normal(size=57))]).ties for _ in range(400))

    assert wrong / 400 == pytest.approx(0.05, abs=0.03)
