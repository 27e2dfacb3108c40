"""Images of a probe: the photo itself several times, and copies with ever less to see.

Two questions are sent together in one go each: the unperturbed image, which scores are bound to, then everything else.

1. Masks are RISE's, drawn from the same key, row by row, as `bbquery explain --method rise` draws them. So whatever
   share of visible cells is recommended, that run finds these answers in the store and pays for the rest only.
2. The shares of visible cells take turns in the rows, so no two of them have the same grid, and a larger probe asks all
   that a smaller one asked, and more.
3. A third of a condition's queries ask its first masks a second time. For the share of variance that is noise, two
   looks at a mask are best where answers are fairly reliable (Shoukri, Asyali & Donner 2004); many masks matter more.
4. A fifth of the queries, where there are enough, go to other fills, larger cells and small noise. The masks behind
   other fills are those of the same share of visible cells, so that they differ in the fill alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.perturb.masks import MaskedCopies, Upsampling
from bbquery.perturb.noise import GaussianCopies
from bbquery.plan import Ask, Rows
from bbquery.saliency.rise import Rise
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain, Image, Images

FEWEST = 20
"""Queries that a probe needs: five looks at the photo, and two masks, one of them twice, at each share."""

SHARES = (0.9, 0.75, 0.5, 0.25, 0.1)
"""Of cells that are visible."""

MIDDLE = SHARES.index(0.5)
RISE, NOISE = Rise(), LikelihoodRatio()
MOST_LOOKS = 20  # at the photo itself: a rate that none of 20 shows is below 16 % (Wilson)
ENOUGH_FOR_EXTRAS = 60  # queries
MOST_OF_A_SHARE = 75  # queries: 50 masks a share, which all lie in RISE's first batch of 256
BLOCKS = 3
"""The image is divided into so many blocks along each side where it is told what a mask shows."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A way to perturb, and how much it is asked. visible: the share of cells that are; None for noise, of `sigma`.

    masks: how many rows. twice: how many of them, the first ones, are asked a second time. turn: its place among the
    shares, which decides its rows.
    """

    visible: float | None
    cells: int = RISE.cells
    fill: float = RISE.fill
    sigma: float = 0.0
    masks: int
    twice: int
    turn: int = 0

    @property
    def name(self) -> str:
        """What it is, for people."""
        if self.visible is None:
            return f"noise of {self.sigma:g} grey levels"
        other = [f"fill {self.fill:g}"] * (self.fill != RISE.fill) + [f"{self.cells}×{self.cells}"] * (
            self.cells != RISE.cells
        )
        return ", ".join([f"{self.visible:.0%} visible", *other])

    @property
    def usual(self) -> bool:
        """Whether it is one of the shares of visible cells, with RISE's own cells and fill."""
        return self.visible is not None and (self.cells, self.fill) == (RISE.cells, RISE.fill)

    @property
    def queries(self) -> int:
        """How many queries it takes."""
        return self.masks + self.twice

    @property
    def rows(self) -> NDArray[np.int64]:
        """Its rows of what RISE, or the likelihood ratio, asks in its first batch."""
        return np.arange(self.masks) * len(SHARES) + self.turn if self.visible is not None else np.arange(self.masks)

    def images(self, x: Image, domain: Domain, seed: int) -> Images:
        """Return the perturbed copies of x (H, W, 3), none of which is held."""
        if self.visible is None:
            return GaussianCopies(x, self.sigma, domain, rows=self.masks, key=(seed, 0))
        return Rows([self._masked(x, domain, seed)], self.rows)

    @one_blas_thread
    def blocks(self, x: Image, domain: Domain, seed: int) -> NDArray[np.float64]:
        """Return how much of each block its masks leave visible, (masks, BLOCKS, BLOCKS), 0 to 1."""
        if self.visible is None:
            return np.ones((self.masks, BLOCKS, BLOCKS))
        masked, upsampling = self._masked(x, domain, seed), Upsampling((x.shape[0], x.shape[1]), self.cells)
        down, across = (_averages(side, BLOCKS) for side in x.shape[:2])
        return np.array([down @ upsampling.mask(*masked.draw(int(row))) @ across.T for row in self.rows])

    def _masked(self, x: Image, domain: Domain, seed: int) -> MaskedCopies:
        upsampling = Upsampling((x.shape[0], x.shape[1]), self.cells)
        p = self.visible or 0.0
        return MaskedCopies(x, upsampling, domain, p=p, fill=self.fill, rows=RISE.batch, key=(seed, 0))


def _averages(pixels: int, blocks: int) -> NDArray[np.float64]:
    """Return the matrix (blocks, pixels) that averages a side's pixels over blocks; a pixel may lie in two of them."""
    edges = np.linspace(0, pixels, blocks + 1)
    start = np.arange(pixels)
    inside = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    shares: NDArray[np.float64] = np.maximum(inside, 0) * blocks / pixels
    return shares


@dataclass(frozen=True)
class Design:
    """All that a probe asks. looks: how often the photo itself."""

    looks: int
    conditions: tuple[Condition, ...]

    @classmethod
    def of(cls, queries: int) -> Design:
        """Return the design for at most so many queries; beyond a few hundred, more would tell nothing new.

        Raises:
            UsageError: fewer than a probe needs.
        """
        if queries < FEWEST:
            raise UsageError(f"a probe needs at least {FEWEST} queries, not {queries}")
        looks = max(5, min(MOST_LOOKS, queries // 10))
        extra = min(queries // 20, MOST_OF_A_SHARE) if queries >= ENOUGH_FOR_EXTRAS else 0
        share = min((queries - looks - 4 * extra) // len(SHARES), MOST_OF_A_SHARE)
        masks, twice = share - share // 3, share // 3
        conditions = [
            Condition(visible=visible, masks=masks, twice=twice, turn=turn) for turn, visible in enumerate(SHARES)
        ]
        return cls(looks, (*conditions, *(_extras(extra) if extra else ())))

    @property
    def queries(self) -> int:
        """How many queries it takes."""
        return self.looks + sum(condition.queries for condition in self.conditions)

    @property
    def condition_of(self) -> NDArray[np.int64]:
        """Which condition each row belongs to, (rows,)."""
        return np.repeat(np.arange(len(self.conditions)), [condition.masks for condition in self.conditions])

    def clean(self, x: Image) -> Ask:
        """Ask the photo itself."""
        return Ask(x[None], repeat=self.looks)

    def perturbed(self, x: Image, domain: Domain, seed: int) -> Ask:
        """Ask everything else, condition after condition."""
        images = Rows([condition.images(x, domain, seed) for condition in self.conditions])
        repeats = [2 if row < c.twice else 1 for c in self.conditions for row in range(c.masks)]
        return Ask(images, tuple(repeats))

    def blocks(self, x: Image, domain: Domain, seed: int) -> NDArray[np.float64]:
        """Return how much of each block is visible in each row, (rows, BLOCKS, BLOCKS), 0 to 1."""
        return np.concatenate([condition.blocks(x, domain, seed) for condition in self.conditions])


def _extras(queries: int) -> tuple[Condition, ...]:
    """Return other fills, larger cells and small noise, of so many queries each."""
    masks, twice = queries - queries // 3, queries // 3
    return (
        Condition(visible=0.5, fill=0.0, masks=masks, twice=twice, turn=MIDDLE),
        Condition(visible=0.5, fill=255.0, masks=masks, twice=twice, turn=MIDDLE),
        Condition(visible=0.5, cells=4, masks=masks, twice=twice, turn=MIDDLE),
        Condition(visible=None, sigma=NOISE.sigma, masks=masks, twice=twice),
    )
