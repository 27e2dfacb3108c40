from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.estimators._bases import Bases

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Fixed:
    """Perturbations given as an array (n, ...)."""

    def __init__(self, z: NDArray[np.float64]) -> None:
        self.z = z

    def realised(self, row: int) -> NDArray[np.float64]:
        return np.asarray(self.z[row])


@pytest.mark.parametrize("cut", [0, 2, 4, 6])
def test_an_incomplete_basis_counts_as_much_as_a_complete_one_where_it_was_asked(cut: int) -> None:
    """Slopes 3 and 5 by a whole basis, then 7 along the first: the mean of 3 and 7, and 5, however rows are batched."""
    z = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 0], [-1, 0]], dtype=np.float64)
    f = np.array([3.0, -3.0, 5.0, -5.0, 7.0, -7.0]) + 2.0
    bases = Bases((2,), queries=6, variance=0.5)

    bases.add(Fixed(z[:cut]), f[:cut])
    bases.add(Fixed(z[cut:]), f[cut:])

    np.testing.assert_allclose(bases.gradient(), [5.0, 5.0])
    assert (bases.answered, bases.mean_score) == (6, 2.0)
