"""Global sensitivity analysis of a photo's cells: Sobol's total indices and HSIC, afresh from their papers.

Sobol  Fel, Cadène, Chalvidal et al., "Look at the Variance!", NeurIPS 2021: how much of the variance of the score goes
       when all cells but one are known. Jansen's estimator on a quasi-random design of half-hidden cells.
HSIC   Novello, Fel, Vigouroux, "Making Sense of Dependence", NeurIPS 2022: how far the score depends on whether a
       cell is visible, of whatever form. A Dirac kernel for cells, a Gaussian one for scores with their median as its
       width.

Both are unsigned: a cell that speaks against the class counts as one that speaks for it. Each takes `ask`, from images
to probabilities (n,), and gives a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import qmc

from .hiding import Copies, enlarged, grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Image

    from .superpixels import Ask

    Cells = Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """From shares shown (n, cells) to scores (n,)."""

DESIGNS = 8  # Sobol's rows a cell, a power of two: at 1,000 queries the grid is then the paper's 11 × 11
HSIC_SIDE = 8  # as in its authors' library


def sobol(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:
    """Return the total indices of the finest grid whose cells get DESIGNS rows each, asking no more than `queries`."""
    side = int((queries / DESIGNS - 1) ** 0.5)
    cells = grid(x.shape, side)
    return enlarged(total_indices(lambda shown: ask(Copies(x, cells, shown)), side**2, DESIGNS, seed), x.shape)


def total_indices(ask: Cells, cells: int, designs: int, seed: int) -> NDArray[np.float64]:
    """Return Sobol's total index of each cell by Jansen's estimator, from designs × (cells + 1) rows.

    The authors' library asks a second design's own rows as well, which this estimator does not read.
    """
    drawn = qmc.Sobol(2 * cells, scramble=True, rng=np.random.default_rng(seed)).random(designs)
    first, second = drawn[:, :cells], drawn[:, cells:]
    rows = [first]
    for cell in range(cells):
        changed = first.copy()
        changed[:, cell] = second[:, cell]
        rows.append(changed)
    scores = ask(np.concatenate(rows)).reshape(cells + 1, designs)
    variance = float(scores[0].var(ddof=1)) or 1.0
    found: NDArray[np.float64] = ((scores[1:] - scores[0]) ** 2).mean(axis=1) / (2 * variance)
    return found


def hsic(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:
    """Return the dependence of the score on each cell of an 8 × 8 grid."""
    cells = grid(x.shape, HSIC_SIDE)
    return enlarged(dependence(lambda shown: ask(Copies(x, cells, shown)), HSIC_SIDE**2, queries, seed), x.shape)


def dependence(ask: Cells, cells: int, queries: int, seed: int) -> NDArray[np.float64]:
    """Return HSIC of each cell and the score; in the rows of a Latin hypercube each cell is visible in half of them."""
    visible = halves(cells, queries, np.random.default_rng(seed))
    scores = ask(visible)
    width = float(np.median(scores)) or 1.0
    kernel = np.exp(-((scores[:, None] - scores) ** 2) / (2 * width**2))
    centred = visible - visible.mean(axis=0)
    # The Dirac kernel of a cell, ½ - (a - b)², centred, is twice the product of the centred cell with itself.
    found: NDArray[np.float64] = 2 * np.einsum("ni,nm,mi->i", centred, kernel, centred, optimize=True) / queries
    return found


def halves(cells: int, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rows (rows, cells) of 0 and 1, half of each column being 1: a binary Latin hypercube."""
    return np.column_stack([rng.permutation(rows) < rows / 2 for _ in range(cells)]).astype(np.float64)
