"""Designs tell cells apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard as reference

from bbquery.errors import UsageError
from bbquery.perturb.designs import folded, hadamard, orthogonal, smoothed, split

CELLS = st.integers(1, 40)
ROWS = st.integers(1, 90)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("order", [1, 2, 16, 64])
def test_the_matrix_is_sylvesters(order: int) -> None:
    """It equals SciPy's, of the next power of two."""
    np.testing.assert_array_equal(hadamard(order), reference(order))
    np.testing.assert_array_equal(hadamard(order + 1), reference(2 * order))


@given(cells=CELLS, seed=SEEDS)
def test_cells_are_orthogonal_over_a_whole_matrix(cells: int, seed: int) -> None:
    """Over as many rows as the matrix has, any two cells are seen together as often as apart."""
    n = len(hadamard(cells))
    rows = orthogonal(cells, n, np.random.default_rng(seed)).astype(int)

    np.testing.assert_array_equal(rows.T @ rows, n * np.eye(cells, dtype=int))


@given(cells=CELLS, rows=ROWS, seed=SEEDS)
def test_a_design_has_the_rows_it_was_asked_for(cells: int, rows: int, seed: int) -> None:
    """Of any size, each cell visible or hidden, and the same from the same seed."""
    first, again = (orthogonal(cells, rows, np.random.default_rng(seed)) for _ in range(2))

    assert first.shape == (rows, cells)
    assert set(np.unique(first)) <= {-1, 1}
    assert np.array_equal(first, again)


def test_matrices_of_one_design_differ() -> None:
    """What is aliased in one matrix is not in the next."""
    rows = orthogonal(8, 16, np.random.default_rng(0))

    assert not np.array_equal(rows[:8], rows[8:])


@given(cells=CELLS, rows=ROWS, seed=SEEDS)
def test_each_row_is_followed_by_its_complement(cells: int, rows: int, seed: int) -> None:
    """The fold shows what the row hides."""
    design = folded(orthogonal(cells, rows, np.random.default_rng(seed)))

    assert design.shape == (2 * rows, cells)
    np.testing.assert_array_equal(design[::2], -design[1::2])


def test_interactions_of_two_cells_cancel_in_a_fold() -> None:
    """Over a foldover, an effect of two cells is orthogonal to that of any one."""
    design = folded(orthogonal(12, 16, np.random.default_rng(3))).astype(int)
    pairs = design[:, :, None] * design[:, None, :]

    assert not np.einsum("ni,njk->ijk", design, pairs).any()


@given(st.integers(2, 30), st.integers(1, 8), st.floats(0, 1), SEEDS)
def test_the_larger_share_of_a_pattern_is_visible(cells: int, rows: int, share: float, seed: int) -> None:
    """By rank, to the nearest number of cells, and never all or none."""
    values = np.random.default_rng(seed).normal(size=(rows, cells))

    out = split(values, np.full(rows, share))

    assert (np.abs((out > 0).sum(axis=1) - np.clip(share * cells, 1, cells - 1)) <= 0.5).all()
    for row, value in zip(out, values, strict=True):
        assert max(value[row < 0]) <= min(value[row > 0])


def test_equal_values_are_split_all_the_same() -> None:
    """A constant pattern still shows its share of the cells, and a single cell is shown."""
    assert split(np.zeros((1, 6)), np.array([0.5])).sum() == 0
    assert split(np.zeros((1, 1)), np.array([0.0])).tolist() == [[1]]


def test_smoothing_keeps_the_variance_of_every_cell_and_joins_neighbours() -> None:
    """Of independent values of variance 1 each cell keeps that, and neighbours move together as a Gaussian says."""
    places = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0), indexing="ij"), axis=-1).reshape(-1, 2)
    values = np.random.default_rng(0).normal(size=(40_000, 81))

    out = smoothed(values, places, 1.0)

    np.testing.assert_allclose(out.std(axis=0), 1, atol=0.02)
    middle, beside = 40, 41
    assert np.corrcoef(out[:, middle], out[:, beside])[0, 1] == pytest.approx(np.exp(-0.25), abs=0.02)  # far from edges


@pytest.mark.parametrize(("cells", "rows"), [(0, 4), (4, 0)])
def test_an_empty_design_is_refused(cells: int, rows: int) -> None:
    """A design needs a cell and a row."""
    with pytest.raises(UsageError):
        orthogonal(cells, rows, np.random.default_rng(0))
