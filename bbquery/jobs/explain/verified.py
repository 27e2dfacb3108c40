"""Verified facts of a map: parts of the photo, in the map's order, with what the model answered to them, twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.types import Answer


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the photo that was shown alone or hidden, and what the model answered to that.

    share: of the pixels that are sent, 0 to 1, shown alone or hidden. image: uint8 (h, w, 3), as it was asked. shown:
    bool (h, w), which of its pixels are the photo's. answers: as it was found, and as it was asked again. says: the
    fact, as people are told it. value: mean of the score's values.
    """

    share: float
    image: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    answers: tuple[Answer, ...]
    says: str
    value: float


@dataclass(frozen=True, eq=False)
class Verified:
    """Facts that were asked for, beside the estimate that a map is.

    enough: the smallest part found, in the map's order, that keeps the answer where it alone is shown. breaks: the
    smallest found whose hiding changes the answer. Each is None where none was answered so twice. queries: how many
    were asked. filling: what stood where pixels were hidden. why: why a fact is missing; empty where none is.
    """

    enough: Part | None
    breaks: Part | None
    queries: int
    filling: str
    why: str
