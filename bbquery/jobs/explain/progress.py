"""Stages of a map: the method run again on the first of its recorded scores, without another query.

A plan is a function of its arguments, seed and scores, so the map after 32 queries is what the plan returns when it is
stopped there. A method that adapts asked the same questions up to there; nothing is known of what it would have asked
later, nor needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.images.placement import fit
from bbquery.jobs.explain.ranks import rank_correlation
from bbquery.plan import replay

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import Explanation, TargetMap

FIRST = 32
"""Queries after which the first map is looked at; then after twice as many, and so on."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A map after part of its queries.

    queries: how many it rests on, the unperturbed image's not counted. values: float64 (H, W) in the photo's
    coordinates. signed: as of the map. correlation: Spearman's, with the map at the end; NaN where one is constant.
    half: half width of its 90 % interval, like values; None where the method has none.
    """

    queries: int
    values: NDArray[np.float64]
    signed: bool
    correlation: float
    half: NDArray[np.float64] | None = None


def stages(explanation: Explanation, found: TargetMap) -> list[Stage]:
    """Return the map after 32, 64, 128 … queries and at the end; costs the method's own work again, no query."""
    x, placement = fit(explanation.photo, explanation.oracle.view, explanation.oracle.domain)
    passed = []
    for queries in checkpoints(found.asked):
        plan = explanation.method.plan(x, explanation.oracle.domain, explanation.seed)
        m = replay(plan, found.recorded.answering(), stop_after=queries)
        values = placement.to_photo(m.values)
        half = None if m.standard_error is None else placement.to_photo(m.interval * m.standard_error)
        passed.append(Stage(queries, values, m.signed, rank_correlation(m.values, found.sent.values), half))
    last = rank_correlation(found.sent.values, found.sent.values)  # 1, or NaN where it is constant
    return [*passed, Stage(found.asked, found.values, found.sent.signed, last, found.half_width)]


def checkpoints(queries: int) -> list[int]:
    """Return 32, 64, 128 … below `queries`."""
    found, at = [], FIRST
    while at < queries:
        found.append(at)
        at *= 2
    return found
