"""Compare methods on one image, one after another, each within a budget of its own in the run's.

What all of them ask, the unperturbed image first of all, is paid once: the store answers the second. A method that
reaches its own cap, or cannot explain this image, leaves the others alone; whatever else ends it would end them too.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery.client.client import Client
from bbquery.errors import BbqueryError, BudgetExhausted, UsageError
from bbquery.images import reading
from bbquery.jobs.compare.methods import checked, names_of
from bbquery.jobs.compare.result import NO_QUERIES, Compared, Comparison
from bbquery.jobs.estimate import estimate
from bbquery.jobs.explain.setting import connection, setting
from bbquery.jobs.spare import Rest, kept, not_begun
from bbquery.jobs.watch import Part
from bbquery.ledger.projects import name_within, open_within
from bbquery.ledger.records import Cap
from bbquery.metrics.srg import DeletionInsertion
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher

if TYPE_CHECKING:
    import os

    from bbquery.client.client import Tally
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.explain.job import Job
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.sqlite import Ledger
    from bbquery.metrics.srg import Curves
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image


@contextlib.asynccontextmanager
async def prepared(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    methods: Sequence[str],
    target: str | None,
    max_queries: int,
    drift_every: int,
    seed: int,
    score: Score | str | None = None,
    evaluate: bool = False,
    spare: int | None = None,
) -> AsyncIterator[Contest]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated.

    methods: specifications, 2 to 8. max_queries: the cap of each, measuring its map not counted. evaluate: whether
    each map is measured by deletion and insertion. spare: queries of each that are kept for lost ones.

    The other options are those of `bbquery.explain_async`.

    Raises:
        UsageError: bad input, in any method.
    """
    wanted = checked(list(methods))
    photo = reading.load(image)
    metric = DeletionInsertion() if evaluate else None
    async with connection(oracle) as connected:
        jobs = []
        for method in wanted:
            async with setting(
                connected, method=method, target=target, score=score, max_queries=max_queries, drift_every=drift_every,
                seed=seed, spare=spare,
            ) as chosen:  # fmt: skip
                jobs.append(chosen.job(photo))
        yield Contest(
            tuple(wanted), tuple(names_of(wanted)), tuple(jobs), Cap(queries=max_queries), metric, reading.called(image)
        )


@dataclass(frozen=True, eq=False)
class Contest:
    """Methods on one image, checked and ready to run. each: the cap of a method, its measuring not counted."""

    methods: tuple[str, ...]
    names: tuple[str, ...]
    jobs: tuple[Job, ...]
    each: Cap
    metric: DeletionInsertion | None
    source: str

    @property
    def run(self) -> str:
        """The hash of what this run is; a second run with the same resumes its budgets."""
        what = [[name, job.identity()] for name, job in zip(self.names, self.jobs, strict=True)]
        return blake3(json.dumps([what, repr(self.metric)]).encode()).hexdigest(length=8)

    @property
    def cap(self) -> int:
        """How many queries all may send together."""
        return len(self.jobs) * ((self.each.queries or 0) + (self.measured_cap.queries or 0 if self.metric else 0))

    @property
    def measured_cap(self) -> Cap:
        """What measuring a map may send: as much as it takes, and as much for lost queries as any run keeps."""
        job = self.jobs[0]
        spare = max((self.each.queries or 0) - job.allowed, kept(self.measuring, job.oracle.capabilities.price))
        return Cap(queries=self.measuring + spare)

    @property
    def measuring(self) -> int:
        """How many queries it takes to measure a map."""
        return 0 if self.metric is None else self.metric.queries

    def estimates(self) -> list[Estimate]:
        """Return what each method would cost, its measuring included; nothing is sent."""
        found = []
        for job in self.jobs:
            quote = job.oracle.quote(job.oracle.encode(job.x))
            found.append(estimate(quote, job.queries + self.measuring, job.oracle.capabilities.limits))
        return found

    async def compare(
        self, ledger: Ledger, watch: Watch, *, project: str | None = None, tokens: int | None = None,
        picodollars: int | None = None,
    ) -> Comparison:  # fmt: skip
        """Ask, and return the maps of all. tokens, picodollars: further caps of the run."""
        began = time.perf_counter()
        cap = Cap(queries=self.cap, tokens=tokens, picodollars=picodollars)
        own = f"compare-{self.run}"
        budget, name = open_within(ledger, project, own, cap, self.source), name_within(project, own)
        results: list[Compared] = []
        for place in range(len(self.jobs)):
            stop = next((each.error for each in results if each.ended_run), None)
            if stop is not None:
                names = self.names[place], self.methods[place]
                results.append(Compared(*names, None, None, stop, ended_run=True, rests=self._whole(place)))
                continue
            watch.begins(Part(place, len(self.jobs), self.names[place], budget))
            results.append(await self._one(place, ledger, (name, budget), watch))
        job, state = self.jobs[0], ledger.budget(budget)
        oracle = job.oracle.capabilities
        return Comparison(
            self.run, job.photo, job.x, oracle, tuple(results), self.metric, job.seed, state,
            {"ask": time.perf_counter() - began},
        )  # fmt: skip

    async def _one(self, place: int, ledger: Ledger, run: tuple[str, int], watch: Watch) -> Compared:
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
            explanation = await self.jobs[place].ask(ledger, budgets[-1], watch, began)
            error = explanation.error
            rests.append(explanation.rest)
            queries = explanation.queries
            if self.metric is not None and not explanation.partial:  # the whole map is another one, measured anew
                budgets.append(ledger.open_budget(f"{own}-measured", self.measured_cap, run[1]))
                curves, rest, tally, stopped = await self._measured(
                    self.jobs[place], explanation.maps[0], (ledger, budgets[-1]), watch
                )
                rests.append(rest)
                queries = queries.plus(tally)
                error = error or stopped
        except BbqueryError as found:
            error = found
        rests += self._whole(place)[len(rests) :]
        ended = _ends_run(error, own)
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
        self, job: Job, found: TargetMap, place: tuple[Ledger, int], watch: Watch
    ) -> tuple[Curves, Rest, Tally, BbqueryError | None]:
        """Return the curves of a map, what completing them takes, what was asked, and what ended them."""
        assert self.metric is not None  # noqa: S101 - the caller has looked
        plan = self.metric.plan(job.x, job.oracle.capabilities.domain, found.sent.values, job.seed)
        async with Client(job.oracle, *place, progress=watch.progressed, waiting=watch.waiting) as client:
            watch.measuring(client, self.metric.queries)
            driven = await drive(plan, client, nearer_is_higher(found.score))
            (ledger, budget), asked = place, self.metric.queries
            rest = Rest(asked, asked, client.tally.answered, job.worst, ledger.budget(budget))
            return driven.result, rest, client.tally, client.halt.error


def _ends_run(error: BbqueryError | None, budget: str) -> bool:
    """Whether what ended a method would end the next one too. budget: the method's own, as measuring's begins."""
    if isinstance(error, BudgetExhausted):
        return not error.budget.startswith(budget)
    return error is not None and not isinstance(error, UsageError)
