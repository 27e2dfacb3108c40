"""A gradient that was computed elsewhere, by backpropagation say, to hold an estimated one against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from blake3 import blake3

from bbquery.errors import UsageError
from bbquery.jobs.evaluate import npy_file
from bbquery.metrics.gradient_cosine import gradient_cosine

if TYPE_CHECKING:
    from collections.abc import Sequence
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

    def among(self, estimates: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the one of several forms of an estimated gradient that has this one's shape.

        Raises:
            UsageError: none has, or it has no negative value where this gradient does, so it holds magnitudes.
        """
        estimate = estimates[self.fitting([each.shape for each in estimates])]
        self._check_sign(estimate)
        return estimate

    def fitting(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Return the place of the first of several shapes that is this gradient's.

        Raises:
            UsageError: none is.
        """
        if self.values.shape in shapes:
            return shapes.index(self.values.shape)
        known = " or ".join(map(str, dict.fromkeys(shapes)))
        raise UsageError(
            f"the gradient of {self.source} has shape {self.values.shape}, but the estimated one {known}: give that of "
            "the same pixels"
        )

    def _check_sign(self, estimate: NDArray[np.float64]) -> None:
        if np.nanmin(estimate) >= 0 > self.values.min():
            raise UsageError(
                f"the map has no negative value, but the gradient of {self.source} does: the map holds magnitudes, "
                "which have no direction; give a map with signs, or one that an estimator made, with its run.json"
            )

    def cosine(self, estimate: NDArray[np.float64]) -> float:
        """Return the cosine of its angle with an estimate of one shape, -1 to 1, over what the estimate knows."""
        seen = np.isfinite(estimate)
        return gradient_cosine(estimate[seen], self.values[seen])


def read(path: Path) -> Reference:
    """Read a gradient from a .npy file.

    Raises:
        UsageError: it cannot be read, or is no gradient.
    """
    return Reference(npy_file.read(path, "gradient"), str(path))
