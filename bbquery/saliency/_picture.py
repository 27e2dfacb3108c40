"""A user's own picture as a baseline or filling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.resizing import averaged

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Picture:
    """Pixels (H, W, 3) in grey levels, of any size, that are shown and compared by their digest.

    A method's repr is its identity: two runs with different pictures must differ in it, and it must be short.

    Raises:
        UsageError: the pixels are not (H, W, 3), or not finite numbers.
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size:
            raise UsageError(f"a picture's pixels must be (H, W, 3), not {pixels.shape}")
        self._pixels = np.array(pixels, dtype=np.float64)
        if not np.isfinite(self._pixels).all():
            raise UsageError("a picture's pixels must be finite grey levels")
        self.digest = _digest(self._pixels)

    def __repr__(self) -> str:
        return f"Picture({self.digest})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def at(self, height: int, width: int) -> NDArray[np.float64]:
        """Return it resized to (height, width, 3): each pixel is the mean of the area that it covers."""
        return averaged(self._pixels, height, width)


def _digest(pixels: NDArray[np.float64]) -> str:
    """Return 128 bits of size and pixels as hex digits.

    Algorithms reach no hash library; NumPy's seed sequence mixes any number of words as well as one needs here, and
    its results are promised not to change.
    """
    words = np.concatenate(
        [np.array(pixels.shape, np.uint32), np.ascontiguousarray(pixels, "<f8").view(np.uint32).ravel()]
    )
    return "".join(f"{word:08x}" for word in np.random.SeedSequence(words).generate_state(4))
