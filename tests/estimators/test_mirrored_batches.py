"""Mirrored pairs in batches: what every central estimator asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbquery.estimators._gathering import Pairs, mirrored_batches
from bbquery.types import FLOAT

if TYPE_CHECKING:
    from bbquery.perturb.added import Change

PHOTO = np.full((1, 2, 3), 100.0)


def numbered(pairs: Pairs) -> Change:
    """Add to each pair its number over all batches, from 1 on."""
    return lambda row: np.full(PHOTO.shape, float(pairs.first + row + 1))


@given(st.integers(1, 40), st.integers(1, 12))
def test_pairs_are_asked_in_order_whole_and_once(queries: int, batch: int) -> None:
    """All batches together ask each pair, plus before minus, in order; only the last may lack its second row."""
    asked = [copies[row] for copies in mirrored_batches(PHOTO, FLOAT, numbered, queries=queries, batch=batch)
             for row in range(len(copies))]  # fmt: skip

    assert [float(image[0, 0, 0]) - 100 for image in asked] == [
        (row // 2 + 1) * (-1 if row % 2 else 1) for row in range(queries)
    ]


@given(st.integers(1, 40), st.integers(1, 12))
def test_no_batch_cuts_a_pair_in_two(queries: int, batch: int) -> None:
    """Every batch but the last has an even number of rows: the one asked for, or one more."""
    *before, last = [len(c) for c in mirrored_batches(PHOTO, FLOAT, numbered, queries=queries, batch=batch)]

    assert set(before) <= {batch + batch % 2}
    assert last <= batch + batch % 2


def test_each_batch_says_which_it_is() -> None:
    """Its number, how many pairs came before and how many rows it has: what its randomness is drawn from."""
    told: list[Pairs] = []

    def noted(pairs: Pairs) -> Change:
        told.append(pairs)
        return numbered(pairs)

    list(mirrored_batches(PHOTO, FLOAT, noted, queries=10, batch=3))

    assert told == [Pairs(0, 0, 4), Pairs(1, 2, 4), Pairs(2, 4, 2)]
