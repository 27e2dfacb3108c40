"""A method whose map is known beforehand, and a model that needs a rectangle of the photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bbquery.plan import Ask, Stopped
from bbquery.saliency import Method
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


@dataclass(frozen=True, kw_only=True)
class KnownMap(Method):
    """Asks `queries` copies, each of one grey, and returns a map that falls row by row from the top ("rows").

    "flat": the same everywhere. fill: what it would hide pixels behind.
    """

    queries: int = 4
    values: Literal["rows", "flat"] = "rows"
    fill: str = "mean"
    signed: bool = True

    @property
    def adaptive(self) -> bool:
        return False

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        copies = np.stack([np.full_like(x, shade % 256) for shade in range(self.queries)])
        try:
            scores = yield Ask(copies)
        except Stopped as stop:
            scores = stop.scores
        pixels = np.arange(x.shape[0] * x.shape[1], 0, -1.0).reshape(x.shape[:2])
        values = pixels if self.values == "rows" else np.ones_like(pixels)
        answered = int((~np.isnan(scores.value)).sum())
        return SaliencyMap(values, self.signed, "rank from below", self.queries, answered)


class NeedsRows:
    """Says whether the photo's rows `first` to `last` are all there. photo: (H, W, 3) uint8."""

    def __init__(self, photo: Image, first: int, last: int) -> None:
        self._rows = slice(first, last + 1)
        self._wanted = photo[self._rows].copy()

    def __call__(self, image: Image) -> bool:
        return np.array_equal(image[self._rows], self._wanted)
