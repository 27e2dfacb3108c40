"""Two-level designs with foldover: which cells are visible in each row, so that their effects can be separated.

The columns of a Hadamard matrix are orthogonal: over its rows any two cells are seen together as often as apart, so
the effect of one is not mistaken for that of another, as it is with masks drawn at random. Each row is followed by its
foldover, the complement: the difference of the two is free of the mean, of all interactions of two cells and of every
other effect of an even number of cells (Box and Wilson, "On the Experimental Attainment of Optimum Conditions", 1951).
What main effects stay aliased with are interactions of three cells or more.

A design of more rows than one matrix has is made of several, each with other columns, signs and order, so that what is
aliased in one is not in the next. With fewer rows the first ones of a matrix are taken: rows are orthogonal, too.

Where cells are many and small, a photo with every second one hidden looks like nothing, and its score tells nothing.
Then rows are smoothed: neighbours are visible together. How much is visible differs from row to row: were it the same
in all, one could not tell from the scores whether all effects are larger by the same amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bbquery.perturb.checks import at_least_one
from bbquery.types import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Number = TypeVar("Number", np.int8, np.float64)


def hadamard(order: int) -> NDArray[np.int8]:
    """Return Sylvester's Hadamard matrix, int8 of +1 and -1, of the least power of two that is at least `order`."""
    at_least_one("order", order)
    matrix = np.ones((1, 1), dtype=np.int8)
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def orthogonal(cells: int, rows: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return (rows, cells) of +1 (visible) and -1 (hidden), from as many Hadamard matrices as it takes.

    Raises:
        UsageError: cells or rows below 1.
    """
    at_least_one("cells", cells)
    at_least_one("rows", rows)
    matrix = hadamard(cells)
    return np.concatenate([_scrambled(matrix, cells, rng)[:n] for n in batches(rows, len(matrix))])


def _scrambled(matrix: NDArray[np.int8], cells: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return a matrix with its rows and columns in another order, some columns turned over, and `cells` of them."""
    columns, rows = rng.permutation(len(matrix))[:cells], rng.permutation(len(matrix))
    turned = rng.choice(np.array([-1, 1], dtype=np.int8), cells)
    scrambled: NDArray[np.int8] = matrix[rows][:, columns] * turned
    return scrambled


def folded(rows: NDArray[Number]) -> NDArray[Number]:
    """Return (2 n, cells): each of the rows (n, cells), followed by its complement, or each pattern by its opposite."""
    return np.stack([rows, -rows], axis=1).reshape(-1, rows.shape[1])


def smoothed(values: Floats, centres: Floats, reach: float) -> Floats:
    """Return values (n, cells) summed over neighbours by a Gaussian of `reach`, each cell's weights of norm 1.

    centres: (cells, 2), in sides of a cell, as reach is. Independent values of variance 1 keep it in every cell.
    """
    weights = closeness(centres, reach)
    weights /= np.sqrt((weights**2).sum(axis=0))
    joined: Floats = np.einsum("ij,jk->ik", values, weights)
    return joined


def closeness(centres: Floats, reach: float) -> Floats:
    """Return (cells, cells): a Gaussian of standard deviation `reach` of the distance between centres (cells, 2)."""
    squares = ((centres[:, None] - centres[None]) ** 2).sum(axis=-1)
    close: Floats = np.exp(-squares / (2 * reach**2))
    return close


def split(values: Floats, shares: Floats) -> NDArray[np.int8]:
    """Return +1 for the largest values of each row of (n, cells), as many as its share of shares (n,) says, else -1.

    Equal values go by their place. A row shows one cell at least, and hides one where there are two.
    """
    cells = values.shape[1]
    hidden = np.clip(np.rint((1 - shares) * cells), min(1, cells - 1), cells - 1)
    ranks = np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(ranks >= hidden[:, None], 1, -1).astype(np.int8)
