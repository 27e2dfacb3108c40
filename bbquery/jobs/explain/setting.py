"""What explanations of any images share, connected and checked before anything is sent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.drift import checks_for
from bbquery.errors import UsageError
from bbquery.images.placement import fit
from bbquery.jobs.defaults import score_for, shareable
from bbquery.jobs.explain.job import Job, plans_of
from bbquery.jobs.spare import kept
from bbquery.jobs.targeting import check_commas
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score


@dataclass(frozen=True, eq=False)
class Setting:
    """What explanations of any images share, checked. every: queries between drift checks.

    allowed: the queries that the method was made for, those that are kept for lost ones not counted.
    """

    oracle: Oracle
    method: Method
    score: Score
    targets: list[str]
    every: int
    seed: int
    allowed: int

    def job(self, photo: NDArray[np.uint8], source: str = "") -> Job:
        """Return the explanation of a photo (H, W, 3), checked and ready to run. source: what the photo is called."""
        x, placement = fit(photo, self.oracle.capabilities.view, self.oracle.capabilities.domain)
        job = Job(
            photo, x, placement, self.oracle, self.method, self.score, self.targets, self.every, self.seed,
            self.allowed, source=source,
        )  # fmt: skip
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
    spare: int | None = None,
) -> AsyncIterator[Setting]:
    """Connect, and check all that no image decides. max_queries: the cap of each of so many images.

    spare: how many of these are kept for lost ones; None is the usual number (see `bbquery.jobs.spare`).
    """
    if drift_every < 0:
        raise UsageError(f"drift checks every {drift_every} queries make no sense: give 0 for none, or more")
    async with connection(oracle) as connected:
        every = drift_every if connected.capabilities.remote else 0
        targets = [target] if isinstance(target, str) else list(target or [])
        Cap(queries=max_queries)
        allowed = max_queries - kept(max_queries, connected.capabilities.price, spare)
        chosen = _method(method, allowed, every, len(targets))
        _check_fits(chosen, max_queries, every, images, len(targets))
        scoring = score_for(connected.capabilities, score)
        check_commas(targets, connected.capabilities.classes)
        scoring.check(connected.capabilities, targets)
        yield Setting(connected, chosen, scoring, targets, every, seed, allowed)


def _method(method: Method | str, allowed: int, every: int, targets: int) -> Method:
    """Make the method; unless it says how much it asks, that is what the clean image and the checks leave."""
    left = max(allowed - 1 - checks_for(allowed, every), 1)
    chosen = load.method(method, queries=left) if isinstance(method, str) else method
    if targets > 1:
        chosen = shareable(chosen)
    if isinstance(method, str) and (plans := plans_of(chosen, targets)) > 1:
        chosen = load.method(method, queries=max(left // plans, 1))
    return chosen


def _check_fits(method: Method, max_queries: int, every: int, images: int, targets: int) -> None:
    """See that a method's queries, the clean image's and the checks fit into the cap of an image."""
    plans = plans_of(method, targets)
    asked = plans * method.queries
    checks = checks_for(asked + 1, every)
    if asked + 1 + checks <= max_queries:
        return
    times = f" for each of {plans} targets" if plans > 1 else ""
    checked = f", checks for drift {checks}" if every else ""
    each = "" if images == 1 else f" for each of {images} images"
    queries = "1 query" if method.queries == 1 else f"{method.queries} queries"
    allowed = "1 is" if max_queries == 1 else f"{max_queries} are"
    raise UsageError(
        f"{type(method).__name__} asks {queries}{times}, the unperturbed image one{checked}: {asked + 1 + checks}; but "
        f"at most {allowed} allowed{each}: raise --max-queries or lower the method's queries"
    )


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
