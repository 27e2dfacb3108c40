"""Compare methods on one image, one after another, each within a budget of its own in the run's.

What all of them ask, the unperturbed image first of all, is paid once: the store answers the second. A method that
reaches its own cap, or cannot explain this image, leaves the others alone; whatever else ends it would end them too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import BbqueryError, UsageError
from bbquery.images import reading
from bbquery.jobs.compare.methods import checked
from bbquery.jobs.compare.result import NO_QUERIES, Compared, Comparison
from bbquery.jobs.explain.setting import ExplainRequest, setting
from bbquery.jobs.identity import identity
from bbquery.jobs.job import connection
from bbquery.jobs.names import names_of_specifications
from bbquery.jobs.parts import Part, ends_run
from bbquery.jobs.request import Request
from bbquery.jobs.spare import Rest, kept, not_begun
from bbquery.ledger.projects import name_within, open_within
from bbquery.ledger.records import Cap
from bbquery.metrics.srg import DeletionInsertion
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher

if TYPE_CHECKING:
    from bbquery.client.client import QueryCounts
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.explain.job import ExplainJob
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.ledger.ledger import Ledger
    from bbquery.metrics.srg import Curves


@dataclass(frozen=True, kw_only=True, eq=False)
class CompareRequest(Request):
    """What is to be compared: 2 to 8 methods, by specification. evaluate: whether each map is measured.

    The queries of cap are those of each method, measuring its map not counted; tokens and dollars are those of all
    together.
    """

    methods: Sequence[str]
    evaluate: bool = False

    def of(self, method: str) -> ExplainRequest:
        """Return what is asked of one of the methods."""
        return ExplainRequest(
            image=self.image, oracle=self.oracle, method=method, target=self.target, score=self.score,
            cap=Cap(queries=self.queries), spare=self.spare, drift_every=self.drift_every, seed=self.seed,
            watch=self.watch, longest_wait=self.longest_wait, verify=0,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def prepared(request: CompareRequest) -> AsyncIterator[CompareJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated.

    Raises:
        UsageError: bad input, in any method.
    """
    methods = checked(list(request.methods))
    photo = reading.load(request.image)
    async with connection(request) as oracle:
        jobs = [setting(oracle, request.of(method)).job(request.image, photo) for method in methods]
        yield CompareJob(
            request=request, methods=tuple(methods), names=tuple(names_of_specifications(methods)), jobs=tuple(jobs),
            metric=DeletionInsertion() if request.evaluate else None,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class CompareJob:
    """Methods on one image, checked and ready to run. metric: measures each map; None measures none."""

    request: CompareRequest
    methods: tuple[str, ...]
    names: tuple[str, ...]
    jobs: tuple[ExplainJob, ...]
    metric: DeletionInsertion | None

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budgets."""
        what = [[name, job.identity()] for name, job in zip(self.names, self.jobs, strict=True)]
        return identity([what, repr(self.metric)])

    @property
    def first(self) -> ExplainJob:
        """The explanation by the first method; all are of the same image, by the same oracle."""
        return self.jobs[0]

    @property
    def each(self) -> Cap:
        """The cap of each method, its measuring not counted."""
        return Cap(queries=self.request.queries)

    @property
    def cap(self) -> Cap:
        """The caps of all together."""
        each = self.request.queries + (self.measured_cap.queries or 0 if self.metric else 0)
        further = self.request.cap
        return Cap(queries=len(self.jobs) * each, tokens=further.tokens, picodollars=further.picodollars)

    @property
    def measured_cap(self) -> Cap:
        """What measuring a map may send: as much as it takes, and as much for lost queries as any run keeps."""
        spare = max(
            self.request.queries - self.first.allowed, kept(self.measuring, self.first.oracle.capabilities.price)
        )
        return Cap(queries=self.measuring + spare)

    @property
    def measuring(self) -> int:
        """How many queries it takes to measure a map."""
        return 0 if self.metric is None else self.metric.queries

    def estimates(self) -> list[Estimate]:
        """Return what each method would cost, its measuring included; nothing is sent."""
        return [job.estimate_of(job.queries + self.measuring) for job in self.jobs]

    async def run(self, ledger: Ledger) -> Comparison:
        """Ask, and return the maps of all."""
        began = time.perf_counter()
        own, project = f"compare-{self.identity()}", self.request.project
        about = reading.called(self.request.image)
        budget, name = open_within(ledger, project, own, self.cap, about), name_within(project, own)
        results: list[Compared] = []
        for place in range(len(self.jobs)):
            stop = next((each.error for each in results if each.ended_run), None)
            if stop is not None:
                names = self.names[place], self.methods[place]
                results.append(Compared(*names, None, None, stop, ended_run=True, rests=self._whole(place)))
                continue
            self.first.watch.begins(Part(place, len(self.jobs), self.names[place], budget))
            results.append(await self._one(place, ledger, (name, budget)))
        return Comparison(
            self.identity(), self.first.photo, self.first.x, self.first.oracle.capabilities, tuple(results),
            self.metric, self.request.seed, ledger.budget(budget), {"ask": time.perf_counter() - began},
            source=self.first.source,
        )  # fmt: skip

    async def _one(self, place: int, ledger: Ledger, run: tuple[str, int]) -> Compared:
        """Explain by one method, and measure its map. run: name and id of the run's budget."""
        began, name = time.perf_counter(), self.names[place]
        own = f"{run[0]}/{name}"
        explanation: Explanation | None = None
        curves: Curves | None = None
        rests: list[Rest] = []
        queries, budgets = NO_QUERIES, list[int]()
        error: BbqueryError | None
        try:
            budgets.append(ledger.open_budget(own, self.each, run[1]))
            explanation = await self.jobs[place].ask(ledger, budgets[-1], began)
            error = explanation.error
            rests.append(explanation.rest)
            queries = explanation.queries
            if self.metric is not None and not explanation.partial:  # the whole map is another one, measured anew
                budgets.append(ledger.open_budget(f"{own}-measured", self.measured_cap, run[1]))
                curves, rest, tally, stopped = await self._measured(
                    self.jobs[place], explanation.maps[0], ledger, budgets[-1]
                )
                rests.append(rest)
                queries = queries.plus(tally)
                error = error or stopped
        except BbqueryError as found:
            error = found
        rests += self._whole(place)[len(rests) :]
        ended = ends_run(error, own, (UsageError,))  # measuring's budget begins with the method's own
        return Compared(
            name,
            self.methods[place],
            explanation,
            curves,
            error,
            ended_run=ended,
            rests=tuple(rests),
            queries=queries,
            unknown=tuple(attempt for budget in budgets for attempt in ledger.unknowns(budget)),
        )

    def _whole(self, place: int) -> tuple[Rest, ...]:
        """Return what a method takes that was not begun."""
        job = self.jobs[place]
        own = not_begun(job.allowed, job.queries, job.worst, self.each)
        if self.metric is None:
            return (own,)
        return own, not_begun(self.measuring, self.measuring, job.worst, self.measured_cap)

    async def _measured(
        self, job: ExplainJob, found: TargetMap, ledger: Ledger, budget: int
    ) -> tuple[Curves, Rest, QueryCounts, BbqueryError | None]:
        """Return the curves of a map, what completing them takes, what was asked, and what ended them."""
        assert self.metric is not None  # noqa: S101 - the caller has looked
        plan = self.metric.plan(job.x, job.oracle.capabilities.domain, found.sent.values, job.request.seed)
        async with job.client(ledger, budget) as client:
            asked = self.metric.queries
            job.watch.measuring(client, asked)
            driven = await drive(plan, client, nearer_is_higher(found.score))
            rest = Rest(asked, asked, client.tally.answered, job.worst, ledger.budget(budget))
            return driven.result, rest, client.tally, client.halt.error
