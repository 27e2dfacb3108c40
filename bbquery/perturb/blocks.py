"""Copies of a photo with noise inside a random rectangle only, and the covariance of a score with that noise.

A rectangle of fixed size is laid anywhere where it covers a pixel at all, so it may hang over the border. Every pixel
is then covered by the same share q = hw / ((H + h - 1)(W + w - 1)) of places.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bbquery.perturb.added import precision
from bbquery.perturb.densities import draw, score_function
from bbquery.perturb.remembered import Remembered
from bbquery.perturb.rendering import as_sent
from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.densities import Density
    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image

Place: TypeAlias = tuple[slice, slice]
"""Rows and columns of pixels, within the photo."""


class BlockCopies:
    """`rows` copies of x (H, W, 3), each with independent noise inside its own rectangle; rendered on demand.

    block: height and width of the rectangle in pixels. sigma: standard deviation of the noise, in grey levels.
    """

    def __init__(
        self, x: Image, domain: Domain, density: Density, sigma: float, block: tuple[int, int], *, rows: int, key: Key
    ) -> None:
        self._dtype = precision(domain)
        self._sent_as = domain.realise(x)
        self._x: NDArray[np.floating[Any]] = self._sent_as.astype(self._dtype)
        self._domain, self._density, self._sigma, self._block = domain, density, sigma, block
        self._rows, self._key = rows, key
        self._known: Remembered[tuple[Place, Image]] = Remembered(
            math.prod(block) * 3 * np.dtype(domain.dtype).itemsize
        )

    def __len__(self) -> int:
        """Number of copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        place, inside = self._inside(row)
        image = self._sent_as.copy()
        image[place] = inside
        return image

    def realised(self, row: int) -> tuple[Place, NDArray[np.floating[Any]]]:
        """Return where copy `row` was changed and what was sent there minus x: (h, w, 3)."""
        place, inside = self._inside(row)
        return place, np.subtract(inside, self._x[place], dtype=self._dtype)

    def weights(self, row: int) -> tuple[Place, NDArray[np.floating[Any]]]:
        """Return the same, as the score function of the noise: (h, w, 3), in 1 / grey level."""
        place, change = self.realised(row)
        return place, score_function(self._density, self._sigma, change)

    def _inside(self, row: int) -> tuple[Place, Image]:
        return self._known(row, self._drawn)

    def _drawn(self, row: int) -> tuple[Place, Image]:
        rng = row_generator(self._key, row, self._rows)
        down, across = (_cut(rng, n, side) for n, side in zip(self._x.shape, self._block, strict=False))
        x = self._x[down, across]
        noise = draw(self._density, self._sigma, x.shape, rng, self._dtype)
        noise += x
        return (down, across), as_sent(noise, self._domain)


def _cut(rng: np.random.Generator, pixels: int, side: int) -> slice:
    start = int(rng.integers(1 - side, pixels))
    return slice(max(start, 0), min(start + side, pixels))


def coverage(size: tuple[int, int], block: tuple[int, int]) -> float:
    """Return q, the probability that a pixel of a photo of `size` is covered by a block."""
    return math.prod(side / (pixels + side - 1) for pixels, side in zip(size, block, strict=True))


class BlockMoments:
    """Running sums, for each value of `shape`, over the answered rows whose rectangle covered it.

    Scores are summed as differences to the first: so a score that never moves has a covariance of exactly 0.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._covered, self._sum_f = np.zeros((*shape[:2], 1)), np.zeros((*shape[:2], 1))
        self._sum_z, self._sum_zz, self._sum_fz = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._first, self._scores = math.nan, 0.0
        self.answered = 0

    def add(self, place: Place, z: NDArray[np.floating[Any]], score: float) -> None:
        """Add a row that changed `place` by z (h, w, 3) and was answered."""
        if not self.answered:
            self._first = score
        f = score - self._first
        self.answered += 1
        self._scores += f
        self._covered[place] += 1
        self._sum_f[place] += f
        self._sum_z[place] += z
        self._sum_zz[place] += np.square(z)
        self._sum_fz[place] += np.multiply(z, f, dtype=np.float64)

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without an answer."""
        return self._first + self._scores / max(self.answered, 1)

    def covariance(self) -> NDArray[np.float64]:
        """Return the sample covariance of score and perturbation over the covering rows; 0 below two of them."""
        return self._centred(self._sum_fz, self._sum_f)

    def variance(self) -> NDArray[np.float64]:
        """Return the sample variance of the perturbation over the covering rows; 0 below two of them."""
        return self._centred(self._sum_zz, self._sum_z)

    def product(self) -> NDArray[np.float64]:
        """Return Σ score × perturbation, neither centred, over the covering rows; 0 without an answer."""
        first = self._first if self.answered else 0.0
        return self._sum_fz + first * self._sum_z

    def squares(self) -> NDArray[np.float64]:
        """Return Σ perturbation² over the covering rows."""
        return self._sum_zz.copy()

    def _centred(self, products: NDArray[np.float64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
        total = products - self._sum_z * sums / np.maximum(self._covered, 1)
        return np.where(self._covered > 1, total / np.maximum(self._covered - 1, 1), 0.0)
