"""Explain one decision: the main job, from a photo and an oracle to maps in the photo's own coordinates."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from bbquery import codec, imaging, load
from bbquery.client import Client
from bbquery.errors import BbqueryError, OracleError, UsageError
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.plan import Ask
from bbquery.run import drive
from bbquery.scoring.soft import Probability
from bbquery.types import NoAnswer, SaliencyMap, Vector

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from bbquery.client import Tally
    from bbquery.imaging import Placement
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer, Image

DEFAULT_METHOD = "rise"
DEFAULT_QUERIES = 1000


@dataclass(frozen=True, eq=False)
class TargetMap:
    """The map of one target. values: float64 (H, W) in the photo's coordinates, NaN where the oracle saw nothing.

    sent: the same map in the coordinates of the pixels that were sent, with its sign, unit and counts.
    stopped: why it rests on fewer answers than planned; None where it does not.
    """

    target: str
    values: NDArray[np.float64]
    sent: SaliencyMap
    stopped: str | None


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps, one per target, and all that is needed to repeat and audit them.

    error: what ended the run early (a budget, the oracle, a person), None where nothing did.
    unknown: attempts of this run's budget that may have been billed without an answer. seconds: by stage.
    """

    run: str
    photo: NDArray[np.uint8]
    maps: tuple[TargetMap, ...]
    clean: Answer
    oracle: Capabilities
    method: Method
    seed: int
    queries: Tally
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]

    @property
    def partial(self) -> bool:
        """Whether any map rests on fewer answers than planned."""
        return any(m.stopped is not None for m in self.maps)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k highest classes of the clean image with their numbers; none where answers are no vectors."""
        if not isinstance(self.clean, Vector):
            return []
        return top_classes(self.clean, self.oracle, k)


class Watch:
    """What an explanation tells while it runs; override what you want to hear."""

    def started(self, client: Client, planned: int) -> None:
        """The client is open and about `planned` queries will be asked; `client.halt.set` stops the run."""

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """The unperturbed image was answered."""

    def progressed(self) -> None:
        """A query was answered."""


def explain(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    max_queries: int = DEFAULT_QUERIES,
    seed: int = 0,
    ledger: Ledger | None = None,
) -> Explanation:
    """Explain why an oracle answers `target` for an image; the synchronous form of `explain_async`.

    Raises:
        UsageError: called inside a running event loop: use `await explain_async(...)` there.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError("an event loop is running: use 'await bbquery.explain_async(...)'")
    job = explain_async(image, oracle, method=method, target=target, max_queries=max_queries, seed=seed, ledger=ledger)
    return asyncio.run(job)


async def explain_async(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    max_queries: int = DEFAULT_QUERIES,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """Explain why an oracle answers `target` for an image, asking at most `max_queries` queries.

    image: a path, "sample:NAME" or an array (H, W, 3). oracle: an object, which stays open, or a specification such
    as "http:url=http://127.0.0.1:8000". method: an object, or a specification such as "lr:sigma=8"; unless it says
    otherwise it asks all queries but one, which the unperturbed image needs. target: a class or several, each by name,
    key or index; None takes the top class. Several targets share one set of queries where the method does not adapt.
    seed: decides every random choice. ledger: holds budgets and answers; None opens the default one.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    began = time.perf_counter()
    photo = imaging.load(image)
    chosen = _method(method, max_queries)
    async with _connected(oracle) as connected:
        targets = [target] if isinstance(target, str) else list(target or [])
        Probability().check(connected.capabilities, targets)
        job = _Job(photo, connected, chosen, targets, max_queries, seed, watch or Watch(), began)
        with open_ledger(ledger) as opened:
            return await job.run(opened)


def _method(method: Method | str, max_queries: int) -> Method:
    """Make the method and see that its queries and the clean image's fit into the cap."""
    Cap(queries=max_queries)
    chosen = load.method(method, queries=max(max_queries - 1, 1)) if isinstance(method, str) else method
    if chosen.queries + 1 > max_queries:
        raise UsageError(
            f"{load.constructor(chosen)} asks {chosen.queries} queries and the unperturbed image one, "
            f"but at most {max_queries} are allowed: raise --max-queries or lower the method's queries"
        )
    return chosen


@contextlib.asynccontextmanager
async def _connected(oracle: Oracle | str) -> AsyncIterator[Oracle]:
    if not isinstance(oracle, str):
        yield oracle
        return
    own = await load.oracle(oracle)
    try:
        yield own
    finally:
        await own.aclose()


@dataclass
class _Job:
    photo: NDArray[np.uint8]
    oracle: Oracle
    method: Method
    targets: list[str]
    max_queries: int
    seed: int
    watch: Watch
    began: float
    seconds: dict[str, float] = field(default_factory=dict)

    async def run(self, ledger: Ledger) -> Explanation:
        capabilities = self.oracle.capabilities
        x, placement = imaging.fit(self.photo, capabilities.view, capabilities.domain)
        run = self._identity(x)
        budget = ledger.open_budget(f"explain-{run}", Cap(queries=self.max_queries))
        self._lap("prepare")
        async with Client(self.oracle, ledger, budget, progress=self.watch.progressed) as client:
            self.watch.started(client, 1 + self.method.queries * max(len(self.targets), 1))
            clean = await self._clean(client, x)
            self.watch.seen(clean, capabilities)
            maps = await self._maps(client, x, clean, placement)
            tally = client.tally
        self._lap("ask")
        return Explanation(
            run=run, photo=self.photo, maps=maps, clean=clean, oracle=capabilities, method=self.method, seed=self.seed,
            queries=tally, budget=ledger.budget(budget), unknown=tuple(ledger.unknowns(budget)),
            error=client.halt.error, seconds=self.seconds,
        )  # fmt: skip

    def _identity(self, x: Image) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budget."""
        what = {
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "method": load.constructor(self.method),
            "targets": self.targets,
            "seed": self.seed,
        }
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    async def _clean(self, client: Client, x: Image) -> Answer:
        ((answer,),) = await client.ask(Ask(x[None]))
        if answer is None:
            assert client.halt.error is not None  # noqa: S101 - nothing else leaves a row unanswered
            raise client.halt.error
        if isinstance(answer, NoAnswer):
            raise OracleError(
                f"gave no answer to the unperturbed image: {answer.reason}", oracle=self.oracle.capabilities.name
            )
        return answer

    async def _maps(self, client: Client, x: Image, clean: Answer, placement: Placement) -> tuple[TargetMap, ...]:
        """Drive one plan per target, side by side: equal questions are asked once."""
        classes = self.oracle.capabilities.classes
        wanted: list[str | None] = [*self.targets] or [None]
        scores = [Probability().bind(clean, target, classes) for target in wanted]
        return tuple(await asyncio.gather(*(self._map(client, x, score, placement) for score in scores)))

    async def _map(self, client: Client, x: Image, score: BoundScore, placement: Placement) -> TargetMap:
        driven = await drive(self.method.plan(x, self.oracle.capabilities.domain, self.seed), client, score)
        return TargetMap(score.target, placement.to_photo(driven.result.values), driven.result, driven.stopped)

    def _lap(self, stage: str) -> None:
        self.seconds[stage] = time.perf_counter() - self.began - sum(self.seconds.values())


def top_classes(answer: Vector, capabilities: Capabilities, k: int) -> list[tuple[str, float]]:
    """Return the k highest classes of an answer, by name where there are names, with their numbers."""
    best = np.argsort(-answer.values, kind="stable")[:k]
    show: Any = capabilities.classes.show if capabilities.classes else str
    return [(show(int(i)), float(answer.values[i])) for i in best]
