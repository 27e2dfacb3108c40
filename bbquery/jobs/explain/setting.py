"""Setting that explanations of several images share, connected and checked before anything is sent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bbquery import load
from bbquery.drift import checks_for
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.explain.job import ExplainJob, plans_of
from bbquery.jobs.job import connection
from bbquery.jobs.request import Request
from bbquery.jobs.spare import kept
from bbquery.jobs.targeting import check_commas
from bbquery.saliency import Method, Undeclared
from bbquery.specification import type_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.reading import Source
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainRequest(Request):
    """What is to be explained, and how. batch: whether it is asked as a batch."""

    method: Method | str = DEFAULT_METHOD
    batch: bool = False


@contextlib.asynccontextmanager
async def prepared(request: ExplainRequest) -> AsyncIterator[ExplainJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(request.image)
    async with connection(request) as oracle:
        job = setting(oracle, request).job(request.image, photo)
        yield job.as_batch() if request.batch else job


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What explanations of any images share, checked.

    request: of any of the images. allowed: the queries that the method was made for, those that are kept for lost ones
    not counted.
    """

    request: ExplainRequest
    oracle: Oracle
    method: Method
    score: Score
    allowed: int

    def job(self, image: Source, photo: NDArray[np.uint8]) -> ExplainJob:
        """Return the explanation of an image, checked and ready to run. photo: what it holds, (H, W, 3)."""
        x, placement = fit(photo, self.oracle.capabilities.view, self.oracle.capabilities.domain)
        job = ExplainJob(
            request=replace(self.request, image=image), oracle=self.oracle, photo=photo, x=x, placement=placement,
            method=self.method, score=self.score, allowed=self.allowed,
        )  # fmt: skip
        job.check()
        return job


def setting(oracle: Oracle, request: ExplainRequest, images: int = 1) -> Setting:
    """Check all that no image decides. images: how many share the setting, for the message about a cap too small."""
    capabilities, targets = oracle.capabilities, request.targets
    every = request.every(capabilities)
    allowed = request.queries - kept(request.queries, capabilities.price, request.spare)
    chosen = _method(request.method, allowed, every, len(targets))
    _check_fits(chosen, request.queries, every, images, len(targets))
    scoring = load.score_for(capabilities, request.score)
    check_commas(targets, capabilities.classes)
    scoring.check(capabilities, targets)
    return Setting(request=request, oracle=oracle, method=chosen, score=scoring, allowed=allowed)


def _method(method: Method | str, allowed: int, every: int, targets: int) -> Method:
    """Make the method; unless it says how much it asks, that is what the clean image and the checks leave."""
    left = max(allowed - 1 - checks_for(allowed, every), 1)
    chosen = _declared(load.method(method, queries=left) if isinstance(method, str) else method)
    if targets > 1:
        chosen = chosen.shareable()
    if isinstance(method, str) and (plans := plans_of(chosen, targets)) > 1:
        chosen = _declared(load.method(method, queries=max(left // plans, 1)))
    return chosen


def _declared(own: Any) -> Method:
    """Return a method as it is, and an object of another class as a method, where it has what every method needs.

    Raises:
        UsageError: it lacks some of that.
    """
    if isinstance(own, Method):
        return own
    if not isinstance(getattr(own, "queries", None), int) or not callable(getattr(own, "plan", None)):
        message = "a method is a subclass of bbquery.saliency.Method, with queries and a plan"
        raise UsageError(f"{own!r} is no method: {message}")
    return Undeclared(own)


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
        f"{type_name(method)} asks {queries}{times}, the unperturbed image one{checked}: {asked + 1 + checks}; but "
        f"at most {allowed} allowed{each}: raise --max-queries or lower the method's queries"
    )
