"""What explanations of any images share, connected and checked before anything is sent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery import imaging, load
from bbquery.drift import checks_for
from bbquery.errors import UsageError
from bbquery.explaining.job import Job
from bbquery.explaining.usual import score_for, shareable
from bbquery.ledger.records import Cap
from bbquery.targeting import check_commas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score


@dataclass(frozen=True, eq=False)
class Setting:
    """What explanations of any images share, checked. every: queries between drift checks."""

    oracle: Oracle
    method: Method
    score: Score
    targets: list[str]
    every: int
    seed: int

    def job(self, photo: NDArray[np.uint8]) -> Job:
        """Return the explanation of a photo (H, W, 3), checked and ready to run."""
        x, placement = imaging.fit(photo, self.oracle.capabilities.view, self.oracle.capabilities.domain)
        job = Job(photo, x, placement, self.oracle, self.method, self.score, self.targets, self.every, self.seed)
        job.check()
        return job


@contextlib.asynccontextmanager
async def setting(
    oracle: Oracle | str,
    *,
    method: Method | str,
    target: str | Sequence[str] | None,
    max_queries: int,
    drift_every: int,
    seed: int,
    score: Score | str | None = None,
    images: int = 1,
) -> AsyncIterator[Setting]:
    """Connect, and check all that no image decides. max_queries: the cap of each of so many images."""
    if drift_every < 0:
        raise UsageError(f"drift checks every {drift_every} queries make no sense: give 0 for none, or more")
    async with connection(oracle) as connected:
        every = drift_every if connected.capabilities.remote else 0
        targets = [target] if isinstance(target, str) else list(target or [])
        chosen = _method(method, max_queries, every, images)
        if len(targets) > 1:
            chosen = shareable(chosen)
        scoring = score_for(connected.capabilities, score)
        check_commas(targets, connected.capabilities.classes)
        scoring.check(connected.capabilities, targets)
        yield Setting(connected, chosen, scoring, targets, every, seed)


def _method(method: Method | str, max_queries: int, every: int, images: int) -> Method:
    """Make the method and see that its queries, the clean image's and the checks fit into the cap of an image."""
    Cap(queries=max_queries)
    overhead = 1 + checks_for(max_queries, every)
    chosen = load.method(method, queries=max(max_queries - overhead, 1)) if isinstance(method, str) else method
    needed = chosen.queries + 1 + checks_for(chosen.queries + 1, every)
    if needed > max_queries:
        checks = f", checks for drift {needed - chosen.queries - 1}" if every else ""
        each = "" if images == 1 else f" for each of {images} images"
        raise UsageError(
            f"{load.constructor(chosen)} asks {chosen.queries} queries, the unperturbed image one{checks}: {needed}; "
            f"but at most {max_queries} are allowed{each}: raise --max-queries or lower the method's queries"
        )
    return chosen


@contextlib.asynccontextmanager
async def connection(oracle: Oracle | str) -> AsyncIterator[Oracle]:
    """Give an oracle: one that is given stays open, one that is named is connected for as long as this lasts."""
    if not isinstance(oracle, str):
        yield oracle
        return
    own = await load.oracle(oracle)
    try:
        yield own
    finally:
        await own.aclose()
