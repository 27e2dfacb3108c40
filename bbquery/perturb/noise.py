"""Noisy copies of a photo.

What an oracle sees is not x + z: on uint8 it is rounded to grey levels and clipped to 0 to 255. An estimator that
divides by the noise it *meant* to add is biased wherever that matters, so copies report what was realised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.rows import Key
    from bbquery.types import Domain, Image


class GaussianCopies:
    """`rows` copies of x, each with its own independent Gaussian noise in every value; none is held.

    x: (H, W, 3) in grey levels, taken as `domain` would send it. sigma: standard deviation, in grey levels.
    Noise is drawn in float32 for uint8 pixels, which rounding makes coarser anyway, and in float64 otherwise.
    """

    def __init__(self, x: Image, sigma: float, domain: Domain, *, rows: int, key: Key) -> None:
        self._dtype: type[np.float32 | np.float64] = np.float32 if domain.dtype == "uint8" else np.float64
        self._x: NDArray[np.floating[Any]] = domain.realise(x).astype(self._dtype)
        self._sigma = sigma
        self._domain, self._rows, self._key = domain, rows, key

    def __len__(self) -> int:
        """How many copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        rng = row_generator(self._key, row, self._rows)
        noise: NDArray[np.floating[Any]] = rng.standard_normal(self._x.shape, dtype=self._dtype)
        noise *= self._sigma
        noise += self._x
        return self._domain.realise(noise)

    def realised(self, row: int) -> NDArray[np.floating[Any]]:
        """Return what was sent as copy `row` minus x: (H, W, 3), float32 for uint8 pixels (exact), else float64."""
        change: NDArray[np.floating[Any]] = np.subtract(self[row], self._x, dtype=self._dtype)
        return change
