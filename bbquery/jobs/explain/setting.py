"""Setting that explanations of several images share, connected and checked before anything is sent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bbquery import load
from bbquery.drift import checks_for
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.each_target import maps_of, most_maps
from bbquery.jobs.explain.bisection import FEWEST
from bbquery.jobs.explain.each import Each
from bbquery.jobs.explain.job import ExplainJob, plans_of
from bbquery.jobs.job import connection
from bbquery.jobs.request import Request
from bbquery.jobs.spare import kept
from bbquery.jobs.targeting import check_commas
from bbquery.option_types import whole
from bbquery.saliency import Method, Undeclared
from bbquery.specification import type_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.reading import Source
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score

DEFAULT_FACTS = 24  # queries for each map: two bisections to one percent, both parts asked again, and a few to spare
ADAPTS = (
    "{} asks by the answers for one target, and {!r} has one set of queries for all: take a method that does not, such "
    "as designed (without until=stable) or rise, or name the targets"
)
LEAST_FOR_MAPS = 3 / 4  # of the queries allowed, where nobody says how many are for facts


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainRequest(Request):
    """What is to be explained, and how.

    batch: whether it is asked as a batch. verify: how many queries are kept for the verified facts of each map, 0 for
    none; None keeps 24, but no more than a quarter of those allowed for all maps together, and none for a batch.
    """

    TAKES_EACH: ClassVar[bool] = True

    method: Method | str = DEFAULT_METHOD
    batch: bool = False
    verify: int | None = None

    @property
    def maps(self) -> int:
        """How many maps it makes; of `each`, whose targets are not known before the first answer, at most."""
        return maps_of(self.targets)

    def _check_types(self) -> None:
        super()._check_types()
        if self.verify is not None:
            object.__setattr__(self, "verify", whole("verify", self.verify, 0))


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
    not counted. facts: how many of them ask for the verified facts of each map; None where none are wanted. each: how
    targets are found; None where they are named, or none is.
    """

    request: ExplainRequest
    oracle: Oracle
    method: Method
    score: Score
    allowed: int
    facts: int | None
    each: Each | None = None

    def job(self, image: Source, photo: NDArray[np.uint8]) -> ExplainJob:
        """Return the explanation of an image, checked and ready to run. photo: what it holds, (H, W, 3)."""
        x, placement = fit(photo, self.oracle.capabilities.view, self.oracle.capabilities.domain)
        job = ExplainJob(
            request=replace(self.request, image=image), oracle=self.oracle, photo=photo, x=x, placement=placement,
            method=self.method, score=self.score, allowed=self.allowed, facts=self.facts,
            each=self.each,
        )  # fmt: skip
        job.check()
        return job


def setting(oracle: Oracle, request: ExplainRequest, images: int = 1) -> Setting:
    """Check all that no image decides. images: how many share the setting, for the message about a cap too small."""
    capabilities, targets = oracle.capabilities, request.targets
    every = request.every(capabilities)
    allowed = request.queries - kept(request.queries, capabilities.price, request.spare)
    wanted = _facts(request, allowed)
    chosen, facts = _method(request, allowed, every, wanted)
    _check_fits(chosen, request, every, images, facts)
    most, each = most_maps(targets), None
    if most is None:
        scoring = load.score_for(capabilities, request.score)
        check_commas(targets, capabilities.classes)
        scoring.check(capabilities, targets)
    else:
        each = Each(None if request.score is None else load.score_for(capabilities, request.score), most)
        scoring = each.check(capabilities)
    return Setting(
        request=request, oracle=oracle, method=chosen, score=scoring, allowed=allowed, facts=facts if wanted else None,
        each=each,
    )  # fmt: skip


def _facts(request: ExplainRequest, allowed: int) -> int:
    """Return how many queries are to ask for the facts of each map.

    Raises:
        UsageError: they are too few to ask for any, or facts are wanted of a batch.
    """
    if request.verify is None:
        most = int((1 - LEAST_FOR_MAPS) * allowed) // request.maps
        return min(DEFAULT_FACTS, most) if most >= FEWEST and not request.batch else 0
    if request.batch and request.verify:
        raise UsageError("facts are asked one after another, by answers, and a batch takes all at once: say --verify 0")
    if 0 < request.verify < FEWEST:
        raise UsageError(f"--verify {request.verify} is too few for a fact: give {FEWEST} or more, or 0 for none")
    return request.verify


def _method(request: ExplainRequest, allowed: int, every: int, facts: int) -> tuple[Method, int]:
    """Make the method, and return how many of so many queries for the facts of each map it leaves.

    Unless it says how much it asks, that is what the clean image, the checks and the facts leave; else these take what
    it leaves.
    """
    method, maps = request.method, request.maps
    most = allowed - 1 - checks_for(allowed, every)
    left = max(most - facts * maps, 1)
    chosen = _declared(load.method(method, queries=left) if isinstance(method, str) else method)
    if maps > 1:
        chosen = chosen.shareable()
    plans = plans_of(chosen, maps)
    if plans > 1 and most_maps(request.targets) is not None:
        raise UsageError(ADAPTS.format(type_name(chosen), request.targets[0]))
    share = max(left // plans, 1)
    if isinstance(method, str) and plans > 1:
        chosen = _declared(load.method(method, queries=share))
    if chosen.queries == share:
        return chosen, facts
    fits = (most - plans * chosen.queries) // maps
    return chosen, min(facts, fits) if fits >= FEWEST else 0


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


def _check_fits(method: Method, request: ExplainRequest, every: int, images: int, facts: int) -> None:
    """See that the queries of the method, the clean image, the facts and the checks fit into the cap of an image."""
    max_queries, plans = request.queries, plans_of(method, request.maps)
    verifying = facts * request.maps
    asked = plans * method.queries + verifying
    checks = checks_for(asked + 1, every)
    if asked + 1 + checks <= max_queries:
        return
    times = f" for each of {plans} targets" if plans > 1 else ""
    checked = f", checks for drift {checks}" if every else ""
    verified = f", verified facts {verifying}" if facts else ""
    each = "" if images == 1 else f" for each of {images} images"
    queries = "1 query" if method.queries == 1 else f"{method.queries} queries"
    allowed = "1 is" if max_queries == 1 else f"{max_queries} are"
    lower = "the method's queries or --verify" if facts else "the method's queries"
    raise UsageError(
        f"{type_name(method)} asks {queries}{times}, the unperturbed image one{checked}{verified}: "
        f"{asked + 1 + checks}; but at most {allowed} allowed{each}: raise --max-queries or lower {lower}"
    )
