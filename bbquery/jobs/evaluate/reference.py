"""A gradient that was computed elsewhere, by backpropagation say, to hold an estimated one against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3

from bbquery.errors import UsageError
from bbquery.jobs.evaluate import npy_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """The true gradient of a score at a photo, by pixel (H, W) or by value (H, W, 3); its scale does not count.

    source: where it is from, to say so.

    Raises:
        UsageError: it has another shape, no number at all, or values that are not finite.
    """

    values: NDArray[np.float64]
    source: str = "array"

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or self.values.dtype.kind not in "iuf":
            raise UsageError(f"{self.source} is no gradient: it must hold numbers (H, W) or (H, W, 3), not {shape}")
        if not np.isfinite(self.values).all() or not self.values.any():
            raise UsageError(f"{self.source} is no gradient with a direction: it has NaN, infinite or only zero values")

    def __repr__(self) -> str:
        return f"Reference({self.source!r}, {blake3(self.values.tobytes()).hexdigest(length=16)})"


def read(path: Path) -> Reference:
    """Read a gradient from a .npy file.

    Raises:
        UsageError: it cannot be read, or is no gradient.
    """
    return Reference(npy_file.read(path, "gradient"), str(path))
