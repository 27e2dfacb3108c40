"""Explain one decision: the main job, from a photo and an oracle to maps in the photo's own coordinates."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import operator
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from bbquery import codec, imaging, load
from bbquery.batches import choosing
from bbquery.batches.prefetch import Prefetch
from bbquery.client import Client
from bbquery.drift import DEFAULT_EVERY, FIRST_CHECKS, DriftReport, DriftWatch, checks_for
from bbquery.errors import BbqueryError, OracleError, UsageError
from bbquery.estimate import Estimate, estimate
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.money import picodollars
from bbquery.plan import Ask
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft
from bbquery.types import Labels, NoAnswer, SaliencyMap, Vector

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    from numpy.typing import NDArray

    from bbquery.batch_oracle import BatchOracle
    from bbquery.batches.prefetch import Prefetched
    from bbquery.batches.questions import Wanted
    from bbquery.client import Tally
    from bbquery.imaging import Placement
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image, Reply

DEFAULT_METHOD = "rise"
DEFAULT_QUERIES = 1000


class NothingToExplain(OracleError):
    """The oracle answered the unperturbed image, and named nothing in it; another image may fare better."""

    outcome = "posted"


@dataclass(frozen=True, eq=False)
class TargetMap:
    """The map of one target. values: float64 (H, W) in the photo's coordinates, NaN where the oracle saw nothing.

    sent: the same map in the coordinates of the pixels that were sent, with its sign, unit and counts.
    stopped: why it rests on fewer answers than planned; None where it does not. score: what was scored, and what its
    values mean; where lower ones are nearer to the target, the map is that of their negative. unread: what could not
    be read in the answers, by how often.
    """

    target: str
    values: NDArray[np.float64]
    sent: SaliencyMap
    stopped: str | None
    score: BoundScore
    unread: Counter[str]

    @property
    def constant(self) -> bool:
        """Whether it says nothing, because no answer scored differently from another."""
        return self.sent.answered > 0 and bool(np.ptp(self.sent.values) == 0)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps, one per target, and all that is needed to repeat and audit them.

    error: what ended the run early (a budget, the oracle, a person), None where nothing did. unknown: attempts of this
    run's budget that may have been billed without an answer. drift: whether the model stayed the same, as far as it was
    checked. seconds: by stage. score: how answers became numbers.
    """

    run: str
    photo: NDArray[np.uint8]
    maps: tuple[TargetMap, ...]
    clean: Answer
    oracle: Capabilities
    method: Method
    score: Score
    seed: int
    queries: Tally
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    drift: DriftReport
    seconds: dict[str, float]

    @property
    def partial(self) -> bool:
        """Whether any map rests on fewer answers than planned."""
        return any(m.stopped is not None for m in self.maps)

    @property
    def unread(self) -> Counter[str]:
        """What the score could not read in the answers (unknown labels, say), by how often."""
        return functools.reduce(operator.or_, (m.unread for m in self.maps), Counter())  # maps share answers

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k highest classes of the clean image with their numbers; none where answers are no vectors."""
        if not isinstance(self.clean, Vector):
            return []
        return top_classes(self.clean, self.oracle, k)


@dataclass(frozen=True)
class Part:
    """Which image of several is next. place: from 0, of count. name: its own. budget: the run's, of all together."""

    place: int
    count: int
    name: str
    budget: int


class Watch:
    """What an explanation tells while it runs; override what you want to hear."""

    def begins(self, part: Part) -> None:
        """One image of several is next; not called where there is but one."""

    def started(self, client: Client, job: Job) -> None:
        """The client is open and will ask; `client.halt.set` stops the run."""

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """The unperturbed image was answered."""

    def progressed(self) -> None:
        """A query was answered."""

    def batching(self, prefetch: Prefetch) -> None:
        """The questions go by the file; `prefetch.abandon` waits no longer, once `client.halt` is set."""

    def batch_news(self, text: str) -> None:
        """A batch was submitted or collected."""

    def batch_status(self, text: str) -> None:
        """How batches stand; replaces what was said before."""


def explain(
    image: str | os.PathLike[str] | Image, oracle: Oracle | str = "efficientnet", **options: Any
) -> Explanation:
    """Explain why an oracle answers a target for an image; the synchronous form of `explain_async`, same options.

    Raises:
        UsageError: called inside a running event loop: use `await explain_async(...)` there.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError("an event loop is running: use 'await bbquery.explain_async(...)'")
    return asyncio.run(explain_async(image, oracle, **options))


async def explain_async(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    max_queries: int = DEFAULT_QUERIES,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    batch: bool = False,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """Explain why an oracle answers `target` for an image, asking at most `max_queries` queries.

    image: a path, "sample:NAME" or an array (H, W, 3). oracle: an object, which stays open, or a specification such
    as "http:url=http://127.0.0.1:8000". method: an object, or a specification such as "lr:sigma=8"; unless it says
    otherwise it asks all queries that the unperturbed image and its checks leave. target: a class or several, each by
    name, key or index; None takes the top class. Several targets share one set of queries where the method does not
    adapt. "cat+dog" is one target, of a set of classes, where the score takes such. score: how an answer becomes a
    number, an object or a specification such as "soft:form=margin"; None takes the probability or score of a class or
    label, and of a text whether it mentions the target. max_tokens, max_usd: further caps of the run, None for none.
    project: a budget, made before, that this run counts in too. drift_every: queries between checks that a remote model
    stays the same, 0 for none. seed: decides every random choice. batch: ask by the file, within hours and at the price
    of that; a person's stop then raises Interrupted, and the same again collects. ledger: holds budgets and answers;
    None opens the default one.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    began = time.perf_counter()
    async with prepared(
        image, oracle, method=method, target=target, score=score, max_queries=max_queries, drift_every=drift_every,
        seed=seed,
    ) as job:  # fmt: skip
        dollars = None if max_usd is None else picodollars(max_usd)
        cap = Cap(queries=max_queries, tokens=max_tokens, picodollars=dollars)
        chosen = job.by_the_file() if batch else job
        with open_ledger(ledger) as opened:
            return await chosen.run(opened, cap, project, watch or Watch(), began)


@contextlib.asynccontextmanager
async def prepared(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    method: Method | str,
    target: str | Sequence[str] | None,
    max_queries: int,
    drift_every: int,
    seed: int,
    score: Score | str | None = None,
) -> AsyncIterator[Job]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = imaging.load(image)
    async with setting(
        oracle, method=method, target=target, score=score, max_queries=max_queries, drift_every=drift_every, seed=seed
    ) as chosen:
        yield chosen.job(photo)


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
        """Return the explanation of a photo (H, W, 3), ready to run."""
        x, placement = imaging.fit(photo, self.oracle.capabilities.view, self.oracle.capabilities.domain)
        return Job(photo, x, placement, self.oracle, self.method, self.score, self.targets, self.every, self.seed)


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
        chosen = _method(method, max_queries, every, images)
        targets = [target] if isinstance(target, str) else list(target or [])
        scoring = score_for(connected.capabilities, score)
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


@dataclass(eq=False)
class Job:
    """An explanation, checked and ready to run. x: the pixels that are sent. every: queries between drift checks."""

    photo: NDArray[np.uint8]
    x: Image
    placement: Placement
    oracle: Oracle
    method: Method
    score: Score
    targets: list[str]
    every: int
    seed: int
    batch: BatchOracle | None = None

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        asked = 1 + self.method.queries
        return asked + checks_for(asked if self.batch is None else 0, self.every)

    def estimate(self) -> Estimate:
        """Return what it would cost; nothing is sent."""
        quote = self.oracle.quote(self.oracle.encode(self.x))
        return estimate(quote, self.queries, self.oracle.capabilities.limits)

    async def run(self, ledger: Ledger, cap: Cap, project: str | None, watch: Watch, began: float) -> Explanation:
        """Ask, and return maps."""
        budget = open_run(ledger, self.identity(), cap, project)
        return await self.ask(ledger, budget, watch, began)

    async def ask(self, ledger: Ledger, budget: int, watch: Watch, began: float) -> Explanation:
        """Ask within a budget that is open already, and return maps."""
        seconds = {"prepare": time.perf_counter() - began}
        async with Client(self.oracle, ledger, budget, progress=watch.progressed) as client:
            watch.started(client, self)
            clean = await self._clean(client)
            watch.seen(clean.answer, self.oracle.capabilities)
            by_file = None if self.batch is None else await self._prefetched(client, self.batch, watch)
            maps, drift = await self._maps(client, clean)
            tally = client.tally if by_file is None else by_file.counted_in(client.tally)
        needless = by_file is not None and all(m.stopped is None for m in maps)  # to halt: nothing was left to send
        seconds["ask"] = time.perf_counter() - began - seconds["prepare"]
        return Explanation(
            run=self.identity(), photo=self.photo, maps=maps, clean=clean.answer, oracle=self.oracle.capabilities,
            method=self.method, score=self.score, seed=self.seed, queries=tally, budget=ledger.budget(budget),
            unknown=tuple(ledger.unknowns(budget)), error=None if needless else client.halt.error, drift=drift,
            seconds=seconds,
        )  # fmt: skip

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budget.

        A score that is not the usual one is part of it: it may lead a method that adapts to other questions.
        """
        what = {
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(self.x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "method": load.constructor(self.method),
            "targets": self.targets,
            "seed": self.seed,
        }
        if self.score != score_for(self.oracle.capabilities):
            what["score"] = load.constructor(self.score)
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    def by_the_file(self) -> Job:
        """Return the same explanation, its questions asked in batches: later, and cheaper.

        Raises:
            UsageError: the oracle takes no batches, its price for them is unknown, or the method adapts to answers.
        """
        oracle = choosing.batch_oracle(self.oracle, self.method)
        oracle.batch_quote(oracle.encode(self.x))  # before anything is asked
        return replace(self, batch=oracle)

    def wanted(self) -> Iterator[Wanted]:
        """Give what is asked by the file: all but the unperturbed image, which is asked before."""
        plan = self.method.plan(self.x, self.oracle.capabilities.domain, self.seed)
        return choosing.wanted(plan, self.x, (FIRST_CHECKS, 1) if self.every else (0, 0))

    async def _prefetched(self, client: Client, oracle: BatchOracle, watch: Watch) -> Prefetched:
        """Answer the plan's questions into the store; from then on the client only reads it."""
        prefetch = Prefetch(client, oracle, watch)
        watch.batching(prefetch)
        found = await prefetch.run(self.wanted)
        told = f"{load.constructor(self.method)} asks by answers after all: leave out --batch"
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

    async def _maps(self, client: Client, clean: Reply) -> tuple[tuple[TargetMap, ...], DriftReport]:
        """Drive one plan per target, side by side: equal questions are asked once."""
        classes = self.oracle.capabilities.classes
        wanted: list[str | None] = [*self.targets] or [None]
        scores = [await client.off_loop(self.score.bind, clean.answer, target, classes) for target in wanted]
        drift = DriftWatch(self.x, clean, scores[0], self.every)
        await drift.start(client)
        maps = await asyncio.gather(*(self._map(client, score, drift) for score in scores))
        return tuple(maps), await drift.end(client)

    async def _map(self, client: Client, score: BoundScore, drift: DriftWatch) -> TargetMap:
        plan = self.method.plan(self.x, self.oracle.capabilities.domain, self.seed)
        driven = await drive(plan, client, nearer_is_higher(score), drift)
        values = self.placement.to_photo(driven.result.values)
        return TargetMap(score.target, values, driven.result, driven.stopped, score, driven.unread)


def run_name(run: str, project: str | None) -> str:
    """Return the name of a run's budget."""
    return f"explain-{run}" if project is None else f"{project}/explain-{run}"


def open_run(ledger: Ledger, run: str, cap: Cap, project: str | None) -> int:
    """Make or resume the budget of a run, inside its project's where it has one; return its id."""
    parent = None if project is None else ledger.find_budget(project)
    return ledger.open_budget(run_name(run, project), cap, parent)


def score_for(capabilities: Capabilities, wanted: Score | str | None = None) -> Score:
    """Return the score that is wanted; None: the usual one of an oracle's kind of answer.

    Raises:
        UnknownName: no score or option has this name. UsageError: a bad option.
    """
    if wanted is not None:
        return load.score(wanted) if isinstance(wanted, str) else wanted
    return Mention() if capabilities.answers == "text" else Soft()


def top_classes(answer: Vector, capabilities: Capabilities, k: int) -> list[tuple[str, float]]:
    """Return the k highest classes of an answer, by name where there are names, with their numbers."""
    best = np.argsort(-answer.values, kind="stable")[:k]
    show: Any = capabilities.classes.show if capabilities.classes else str
    return [(show(int(i)), float(answer.values[i])) for i in best]
