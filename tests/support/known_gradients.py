"""An estimator that is never wrong, for tests of what is made of its gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbquery.estimators import Gradient
from bbquery.plan import Ask, Stopped
from bbquery.types import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

    Slope = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Asks `queries` copies of a point in batches, and returns `slope` of it, whatever the answers are."""

    adaptive: ClassVar[bool] = False
    slope: Slope
    queries: int = 1
    batch: int = 1000

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        answered = 0
        for start in range(0, self.queries, self.batch):
            rows = min(self.batch, self.queries - start)
            try:
                scores = yield Ask(np.repeat(x[None], rows, axis=0))
            except Stopped as stop:
                answered += int(np.count_nonzero(~np.isnan(stop.scores.value)))
                break
            answered += int(np.count_nonzero(~np.isnan(scores.value)))
        return Gradient(self.slope(x.astype(np.float64)), self.queries, answered, 0.0)


class Asked:
    """Answers every row with 1 and remembers what was asked, barrier by barrier."""

    def __init__(self, refused: Callable[[Image], bool] = lambda image: False) -> None:
        self.barriers: list[list[NDArray[Any]]] = []
        self._refused = refused

    def __call__(self, ask: Ask) -> Scores:
        rows = [ask.images[row] for row in range(len(ask.images))]
        self.barriers.append(rows)
        value = np.array([np.nan if self._refused(row) else 1.0 for row in rows])
        return Scores(np.zeros(len(rows), dtype=np.int8), value)

    @property
    def points(self) -> NDArray[np.float64]:
        """The different images that were asked, in their order."""
        rows = [row for barrier in self.barriers for row in barrier]
        different = [row for place, row in enumerate(rows) if not place or not np.array_equal(row, rows[place - 1])]
        return np.array(different, dtype=np.float64)
