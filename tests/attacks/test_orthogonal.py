"""Directions orthogonal to the last ones, beside Gram and Schmidt's own steps in float64."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.attacks._orthogonal import PIECE, Orthogonal

VALUES = PIECE + 300  # which is no whole number of pieces


@pytest.mark.parametrize(("last", "at_once"), [(1, 1), (7, 3), (20, 8), (8, 8)])
def test_each_direction_is_what_is_left_of_it_beside_the_last_ones(last: int, at_once: int) -> None:
    """One after the other, each loses what lies along the `last` before it and no others, and has length 1."""
    drawn = np.random.default_rng(last).standard_normal((6 * at_once, VALUES)) + 0.5  # far from orthogonal
    expected: list[np.ndarray] = []
    for direction in drawn:
        left = direction - sum((direction @ other) * other for other in expected[-last:])
        expected.append(left / np.linalg.norm(left))
    orthogonal, directions = Orthogonal(last, VALUES), drawn.astype(np.float32)

    for first in range(0, len(directions), at_once):
        orthogonal.take(directions[first : first + at_once])

    np.testing.assert_allclose(directions, np.stack(expected), atol=1e-5)


def test_a_direction_of_zeros_stays_so() -> None:
    """Nothing is divided by zero, and the others are orthogonal all the same."""
    directions = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    directions[1] = 0

    Orthogonal(3, 50).take(directions)

    np.testing.assert_allclose(directions @ directions.T, np.diag([1.0, 0.0, 1.0]), atol=1e-6)
