"""An explanation at work: the unperturbed image, one plan per target, and the maps in the photo's coordinates."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery.batches import feasibility
from bbquery.batches.prefetch import Prefetch
from bbquery.client.client import Client
from bbquery.drift import FIRST_CHECKS, DriftReport, DriftWatch, checks_for
from bbquery.errors import UsageError
from bbquery.jobs import targeting
from bbquery.jobs.defaults import score_for, shareable
from bbquery.jobs.estimate import Estimate, estimate
from bbquery.jobs.explain.result import Explanation, NothingToExplain, TargetMap
from bbquery.jobs.spare import Rest
from bbquery.ledger import codec
from bbquery.ledger.projects import name_within, open_within
from bbquery.plan import Ask, step
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.specification import constructor
from bbquery.types import Labels, NoAnswer
from bbquery.units import Units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.batch_oracle import BatchOracle
    from bbquery.batches.prefetch import Prefetched
    from bbquery.batches.questions import Wanted
    from bbquery.client.client import Tally
    from bbquery.images.placement import Placement
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.records import BudgetState, Cap
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.plan import Plan
    from bbquery.saliency import Method
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image, Reply, SaliencyMap


@dataclass(eq=False)
class Job:
    """An explanation, checked and ready to run. x: the pixels that are sent. every: queries between drift checks.

    allowed: the queries that the method was made for, those that are kept for lost ones not counted. source: what the
    photo is called.
    """

    photo: NDArray[np.uint8]
    x: Image
    placement: Placement
    oracle: Oracle
    method: Method
    score: Score
    targets: list[str]
    every: int
    seed: int
    allowed: int
    batch: BatchOracle | None = None
    source: str = ""

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
        return 1 + self.method.queries * plans_of(self.method, len(self.targets))

    @property
    def worst(self) -> Units:
        """The most that a query may cost."""
        return self.oracle.quote(self.oracle.encode(self.x)).worst

    def estimate(self) -> Estimate:
        """Return what it would cost; nothing is sent."""
        quote = self.oracle.quote(self.oracle.encode(self.x))
        return estimate(quote, self.queries, self.oracle.capabilities.limits)

    async def run(self, ledger: Ledger, cap: Cap, project: str | None, watch: Watch, began: float) -> Explanation:
        """Ask, and return maps."""
        budget = open_run(ledger, self.identity(), cap, project, self.source)
        return await self.ask(ledger, budget, watch, began)

    async def ask(self, ledger: Ledger, budget: int, watch: Watch, began: float) -> Explanation:
        """Ask within a budget that is open already, and return maps."""
        seconds = {"prepare": time.perf_counter() - began}
        async with Client(self.oracle, ledger, budget, progress=watch.progressed, waiting=watch.waiting) as client:
            watch.started(client, self)
            clean = await self._clean(client)
            watch.seen(clean.answer, self.oracle.capabilities)
            scores = await self._scores(client, clean.answer, watch)
            by_file = None if self.batch is None else await self._prefetched(client, self.batch, watch)
            maps, drift = await self._maps(client, clean, scores)
            tally = client.tally if by_file is None else by_file.counted_in(client.tally)
        whole = all(m.stopped is None for m in maps)  # then nothing was left to send, and only an alarm is worth a word
        needless = by_file is not None and whole and not by_file.forbids
        seconds["ask"] = time.perf_counter() - began - seconds["prepare"]
        return Explanation(
            run=self.identity(), photo=self.photo, x=self.x, maps=maps, clean=clean.answer,
            oracle=self.oracle.capabilities, method=self.method, score=self.score, seed=self.seed, queries=tally,
            budget=ledger.budget(budget),
            unknown=tuple(ledger.unknowns(budget)), error=None if needless else client.halt.error, drift=drift,
            seconds=seconds, rest=self._rest(tally, ledger.budget(budget), maps), placement=self.placement,
        )  # fmt: skip

    def _rest(self, tally: Tally, budget: BudgetState, maps: Sequence[TargetMap]) -> Rest:
        """Return what completing it takes: of a whole one nothing, so no image is encoded to know what that costs."""
        if all(m.stopped is None for m in maps):
            return Rest(self.allowed, self.queries, self.queries, Units(), budget)
        return Rest(self.allowed, self.queries, tally.answered, self.worst, budget)

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budget.

        A score that is not the usual one is part of it: it may lead a method that adapts to other questions.
        """
        what = {
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(self.x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "method": constructor(self.method),
            "targets": self.targets,
            "seed": self.seed,
        }
        if self.score != score_for(self.oracle.capabilities):
            what["score"] = constructor(self.score)
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    def by_the_file(self) -> Job:
        """Return the same explanation, its questions asked in batches: later, and cheaper.

        Raises:
            UsageError: the oracle takes no batches, its price for them is unknown, or the method adapts to answers.
        """
        method = shareable(self.method)
        oracle = feasibility.batch_oracle(self.oracle, method)
        oracle.batch_quote(oracle.encode(self.x))  # before anything is asked
        return replace(self, batch=oracle, method=method)

    def wanted(self) -> Iterator[Wanted]:
        """Give what is asked by the file: all but the unperturbed image, which is asked before."""
        return feasibility.wanted(self._plan(), self.x, (FIRST_CHECKS, 1) if self.every else (0, 0))

    def _plan(self) -> Plan[SaliencyMap]:
        return self.method.plan(self.x, self.oracle.capabilities.domain, self.seed)

    async def _prefetched(self, client: Client, oracle: BatchOracle, watch: Watch) -> Prefetched:
        """Answer the plan's questions into the store; from then on the client only reads it."""
        prefetch = Prefetch(client, oracle, watch)
        watch.batching(prefetch)
        found = await prefetch.run(self.wanted)
        told = f"{constructor(self.method)} asks by answers after all: leave out --batch"
        level = logging.DEBUG if found.error is None else logging.WARNING
        client.halt.set(found.error or UsageError(told), level)
        return found

    async def _clean(self, client: Client) -> Reply:
        ((reply,),) = await client.ask(Ask(self.x[None]))
        if reply is None:
            assert client.halt.error is not None  # noqa: S101 - nothing else leaves a row unanswered
            raise client.halt.error
        if isinstance(reply.answer, NoAnswer):
            told = f"gave no answer to the unperturbed image: {reply.answer.reason}"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        if reply.answer == Labels(()) and not self.targets:
            told = "names nothing in the unperturbed image: say with --target what is to be explained"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        return reply

    async def _scores(self, client: Client, clean: Answer, watch: Watch) -> list[BoundScore]:
        """Bind the score to each target, and say what is amiss with one before the budget goes."""
        capabilities = self.oracle.capabilities
        wanted: list[str | None] = [*self.targets] or [None]
        scores = [await client.off_loop(self.score.bind, clean, target, capabilities.classes) for target in wanted]
        for line in await client.off_loop(targeting.beware, self.targets, scores, clean, capabilities):
            watch.beware(line)
        return scores

    async def _maps(
        self, client: Client, clean: Reply, scores: list[BoundScore]
    ) -> tuple[tuple[TargetMap, ...], DriftReport]:
        """Drive one plan per target, side by side: equal questions are asked once."""
        drift = DriftWatch(self.x, clean, scores[0], self.every, self._asked)
        await drift.start(client)
        maps = await asyncio.gather(*(self._map(client, score, drift) for score in scores))
        return tuple(maps), await drift.end(client)

    async def _map(self, client: Client, score: BoundScore, drift: DriftWatch) -> TargetMap:
        driven = await drive(self._plan(), client, nearer_is_higher(score), drift)
        found, to_photo = driven.result, self.placement.to_photo
        # the interpolated error is never below that of the interpolated value, by the triangle inequality
        error = None if found.standard_error is None else to_photo(found.standard_error)
        return TargetMap(
            target=score.target, values=to_photo(found.values), sent=found, stopped=driven.stopped, score=score,
            unread=driven.unread, standard_error=error, asked=driven.asked, recorded=driven.recorded,
            unanswered=driven.unanswered,
        )  # fmt: skip


def plans_of(method: Method, targets: int) -> int:
    """Return how many sets of queries so many targets need: one, unless the method adapts to the answers of each."""
    return targets if targets > 1 and getattr(method, "adaptive", False) else 1


def run_name(run: str, project: str | None) -> str:
    """Return the name of a run's budget."""
    return name_within(project, f"explain-{run}")


def open_run(ledger: Ledger, run: str, cap: Cap, project: str | None, about: str) -> int:
    """Make or resume the budget of a run, inside its project's where it has one; return its id.

    about: its image or images, for people.
    """
    return open_within(ledger, project, f"explain-{run}", cap, about)
