"""The run of an explanation: the unperturbed image, one plan per target, and the maps in the photo's coordinates."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.batches import feasibility
from bbquery.batches.prefetch import Prefetch
from bbquery.drift import FIRST_CHECKS, DriftReport, DriftWatch, checks_for
from bbquery.errors import UsageError
from bbquery.jobs.each_target import maps_of
from bbquery.jobs.explain.each import Bound
from bbquery.jobs.explain.result import Explanation, TargetMap
from bbquery.jobs.explain.shuffling import blocks, chances, probability_of_chance
from bbquery.jobs.explain.sketches import Sketches
from bbquery.jobs.explain.verifying import Verification, filling_beside
from bbquery.jobs.identity import identity
from bbquery.jobs.job import Job, NothingToExplain
from bbquery.jobs.spare import Rest
from bbquery.plan import step
from bbquery.run import drive_shared
from bbquery.scoring.base import nearer_is_higher
from bbquery.specification import constructor
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.batch_oracle import BatchOracle
    from bbquery.batches.prefetch import Prefetched
    from bbquery.batches.questions import Wanted
    from bbquery.client.client import Client, QueryCounts
    from bbquery.jobs.explain.each import Each
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState
    from bbquery.plan import Plan
    from bbquery.recording import Recorded
    from bbquery.run import Driven
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score
    from bbquery.types import Answer, Reply, SaliencyMap

NOTHING = ": say with --target what is to be explained"


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainJob(Job):
    """An explanation, checked and ready to run.

    allowed: the queries that the method was made for, those that are kept for lost ones not counted. facts: how many
    ask for the verified facts of each map, 0 where they do not fit; None where none are wanted. batch: whom to ask as a
    batch; None asks query by query. each: how targets are found in the first answer; None where they are named, or none
    is.
    """

    method: Method
    score: Score
    allowed: int
    facts: int | None = None
    batch: BatchOracle | None = None
    each: Each | None = None

    def check(self) -> None:
        """See that the method takes a photo of this size.

        Raises:
            UsageError: it does not. MissingExtra: it needs one.
        """
        step(self._plan(), None)

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self._asked + checks_for(self._asked if self.batch is None else 0, self.every)

    @property
    def _asked(self) -> int:
        """How many of them are not checks."""
        return 1 + self.method.queries * plans_of(self.method, maps_of(self.request.targets)) + self.verifying

    @property
    def verifying(self) -> int:
        """How many queries ask for verified facts at most, those of all maps together."""
        return (self.facts or 0) * maps_of(self.request.targets)

    async def run(self, ledger: Ledger) -> Explanation:
        """Ask, and return maps."""
        budget = self.open_budget(ledger, name_of(self.identity()), self.request.caps)
        return await self.ask(ledger, budget, self.request.began)

    async def ask(self, ledger: Ledger, budget: int, began: float) -> Explanation:
        """Ask within a budget that is open already, and return maps."""
        seconds = {"prepare": time.perf_counter() - began}
        async with self.client(ledger, budget) as client:
            self.watch.started(client, self.queries, self.queries)
            clean = await self.clean(client, nothing=NOTHING)
            bound = await self._scores(client, clean.answer)
            batched = None if self.batch is None else await self._prefetched(client, self.batch)
            maps, drift = await self._maps(client, clean, bound)
            tally = client.tally if batched is None else batched.counted_in(client.tally)
        whole = all(m.whole for m in maps)  # then nothing was left to send, and only an alarm is worth a word
        needless = batched is not None and whole and not batched.forbids
        seconds["ask"] = time.perf_counter() - began - seconds["prepare"]
        return Explanation(
            source=self.source,
            run=self.identity(), photo=self.photo, x=self.x, maps=maps, clean=clean.answer,
            oracle=self.oracle.capabilities, method=self.method, score=self.score, seed=self.request.seed,
            queries=tally, budget=ledger.budget(budget),
            unknown=tuple(ledger.unknowns(budget)), error=None if needless else client.halt.error, drift=drift,
            seconds=seconds, rest=self._rest(tally, ledger.budget(budget), maps), placement=self.placement,
        )  # fmt: skip

    def _rest(self, tally: QueryCounts, budget: BudgetState, maps: Sequence[TargetMap]) -> Rest:
        """Return what completing it takes: of a whole one nothing, so no image is encoded to know what that costs."""
        if all(m.whole for m in maps):
            return Rest(self.allowed, self.queries, self.queries, Units(), budget)
        return Rest(self.allowed, self.queries, tally.answered, self.worst, budget)

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budget.

        A score that is not the default is part of it: it may lead a method that adapts to other questions. The
        queries for facts are none: they are asked of the same map, in the same budget, if there is room.
        """
        what = {
            **self.subject,
            "method": constructor(self.method),
            "targets": self.request.targets,
            "seed": self.request.seed,
        }
        if self.score != load.score_for(self.oracle.capabilities):
            what["score"] = constructor(self.score)
        return identity(what)

    def as_batch(self) -> ExplainJob:
        """Return the same explanation, its questions asked in batches: later, and cheaper.

        Raises:
            UsageError: the oracle takes no batches, its price for them is unknown, or the method adapts to answers.
        """
        method = self.method.shareable()
        oracle = feasibility.batch_oracle(self.oracle, method)
        oracle.batch_quote(oracle.encode(self.x))  # before anything is asked
        return replace(self, batch=oracle, method=method)

    def wanted(self) -> Iterator[Wanted]:
        """Give what is asked as a batch: all but the unperturbed image, which is asked before."""
        return feasibility.wanted(self._plan(), self.x, (FIRST_CHECKS, 1) if self.every else (0, 0))

    def _plan(self) -> Plan[SaliencyMap]:
        return self.method.plan(self.x, self.oracle.capabilities.domain, self.request.seed)

    async def _prefetched(self, client: Client, oracle: BatchOracle) -> Prefetched:
        """Answer the plan's questions into the store; from then on the client only reads it."""
        prefetch = Prefetch(client, oracle, self.watch)
        self.watch.batching(prefetch)
        found = await prefetch.run(self.wanted)
        message = f"{constructor(self.method)} asks by answers after all: leave out --batch"
        level = logging.DEBUG if found.error is None else logging.WARNING
        client.halt.set(found.error or UsageError(message), level)
        return found

    async def _scores(self, client: Client, clean: Answer) -> list[Bound]:
        """Bind the score to each target, and warn of doubtful ones before the budget is spent.

        Raises:
            NothingToExplain: the answer is to name the targets, and names none.
        """
        capabilities = self.oracle.capabilities
        if self.each is not None:
            bound, lines = await client.off_loop(self.each.bound, clean, capabilities)
            for line in lines:
                self.watch.beware(line)
            if not bound:
                raise NothingToExplain(f"names nothing in the unperturbed image{NOTHING}", oracle=capabilities.name)
            return bound
        wanted: list[str | None] = [*self.request.targets] or [None]
        scores = [await client.off_loop(self.score.bind, clean, target, capabilities.classes) for target in wanted]
        await self.beware(client, scores, clean)
        return [Bound(score, self.score, score.target) for score in scores]

    async def _maps(
        self, client: Client, clean: Reply, bound: list[Bound]
    ) -> tuple[tuple[TargetMap, ...], DriftReport]:
        """Drive one plan per target; what several targets can share is asked once for all."""
        drift = DriftWatch(self.x, clean, bound[0].score, self.every, self._asked)
        await drift.start(client)
        groups = [[each] for each in bound] if self.method.adaptive else [bound]
        found = await asyncio.gather(*(self._shared_maps(client, group, drift, len(bound)) for group in groups))
        maps = [m for group in found for m, _ in group]
        verdicts = chances([chance for group in found for _, chance in group])
        judged = [replace(m, chance=chance) for m, chance in zip(maps, verdicts, strict=True)]
        maps = await asyncio.gather(*(self._verified(client, m, drift, clean.answer) for m in judged))
        return tuple(maps), await drift.end(client)

    async def _verified(self, client: Client, m: TargetMap, drift: DriftWatch, clean: Answer) -> TargetMap:
        """Return a map with its facts where they are wanted. clean: the unperturbed image's answer."""
        if self.facts is None:
            return m
        how = Verification(
            x=self.x, whole=self.placement.whole, clean=clean, oracle=self.oracle.capabilities,
            filling=filling_beside(self.method), seed=self.request.seed, queries=self.facts,
        )  # fmt: skip
        return replace(m, verified=await how.of(m, client, drift))

    async def _shared_maps(
        self, client: Client, group: list[Bound], drift: DriftWatch, maps: int
    ) -> list[tuple[TargetMap, float | None]]:
        """Return the maps of targets from the same queries, each with its probability of chance; None: not known.

        maps: how many the run has.
        """
        sketches = Sketches(self.x)
        plans = [sketches.of(self._plan()), *(self._plan() for _ in group[1:])]  # all ask the same: one is sketched
        driven = await drive_shared(plans, client, [nearer_is_higher(each.score) for each in group], drift)
        found = [self._map(each, bound) for each, bound in zip(driven, group, strict=True)]
        return [(m, await client.off_loop(self._chance, sketches, m.recorded, maps)) for m in found]

    def _map(self, driven: Driven[SaliencyMap], bound: Bound) -> TargetMap:
        found, to_photo = driven.result, self.placement.to_photo
        # the interpolated error is never below that of the interpolated value, by the triangle inequality
        error = None if found.standard_error is None else to_photo(found.standard_error)
        return TargetMap(
            target=bound.name, values=to_photo(found.values), sent=found, stopped=driven.stopped, score=bound.score,
            unread=driven.unread, standard_error=error, asked=driven.asked, recorded=driven.recorded,
            unanswered=driven.unanswered, scored_by=bound.scored_by,
        )  # fmt: skip

    def _chance(self, sketches: Sketches, recorded: Recorded, maps: int) -> float | None:
        changes, sizes = sketches.changes, blocks(sketches.asks, adaptive=self.method.adaptive)
        values = recorded.values[: len(changes[0])]
        return probability_of_chance(changes, values, sizes, self.request.seed, maps)


def plans_of(method: Method, targets: int) -> int:
    """Return how many sets of queries so many targets need: one, unless the method adapts to the answers of each."""
    return targets if targets > 1 and method.adaptive else 1


def name_of(run: str) -> str:
    """Return the name of a run's budget, within its project's where it has one."""
    return f"explain-{run}"
