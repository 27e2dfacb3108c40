"""A stand-in for methods that know how sure they are: cells hidden at random, two means and their standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.perturb.rows import row_generator
from bbquery.perturb.visibility import VisibilityCount
from bbquery.plan import Ask, Stopped
from bbquery.saliency import Method
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


class Hidden:
    """Copies of x with cells in grey. shown: (rows, cells, cells), which of them are visible."""

    def __init__(self, x: Image, domain: Domain, shown: NDArray[np.bool_]) -> None:
        self._x, self._domain, self._shown = x, domain, shown

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, row: int, /) -> Image:
        keep = enlarged(self._shown[row], self._x.shape[:2])[:, :, None]
        return self._domain.realise(np.where(keep, self._x, 127.0))


def enlarged(cells: NDArray[np.generic], size: tuple[int, ...]) -> NDArray[np.generic]:
    """Return each cell's value for every pixel of it."""
    rows, columns = (np.arange(side) * len(cells) // side for side in size)
    return cells[np.ix_(rows, columns)]


@dataclass(frozen=True, kw_only=True)
class Cells(Method):
    """The mean score with a cell visible minus that with it hidden. note: handed on, for people."""

    adaptive: ClassVar[bool] = False
    queries: int = 200
    cells: int = 7
    batch: int = 64
    note: str = ""

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        shown = np.array(
            [
                row_generator((seed, 0), r, self.queries).random((self.cells, self.cells)) < 0.5
                for r in range(self.queries)
            ]
        )
        values, seen = np.full(self.queries, np.nan), VisibilityCount()
        for start in range(0, self.queries, self.batch):
            rows = slice(start, min(start + self.batch, self.queries))
            try:
                scores = yield Ask(Hidden(x, domain, shown[rows]))
            except Stopped as stop:
                values[rows] = stop.scores.value
                break
            values[rows] = scores.value
            seen.add(shown[rows].mean(axis=(1, 2)), scores.answers)
        return self._map(x, shown, values, seen)

    def _map(
        self, x: Image, shown: NDArray[np.bool_], values: NDArray[np.float64], seen: VisibilityCount
    ) -> SaliencyMap:
        answered = np.isfinite(values)
        effect, error = np.zeros((2, self.cells, self.cells))
        for cell in np.ndindex(effect.shape):
            sides = [values[answered & (shown[(slice(None), *cell)] == side)] for side in (True, False)]
            if min(map(len, sides)) > 1:
                effect[cell] = sides[0].mean() - sides[1].mean()
                error[cell] = np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides))
        return SaliencyMap(
            enlarged(effect, x.shape[:2]).astype(np.float64), signed=True, unit="score gained by revealing a cell",
            rows=self.queries, answered=int(answered.sum()),
            standard_error=enlarged(error, x.shape[:2]).astype(np.float64),
            visibility=seen.ranges(), notes=(self.note,) if self.note else (),
        )  # fmt: skip
