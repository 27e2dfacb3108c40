"""Judge a map: from a map, its photo and an oracle to figures, within a budget, through the same client as any run.

All that is asked is known beforehand, so a second run asks nothing, and another target asks nothing either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from bbquery.client import waiting
from bbquery.client.client import Client
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import both_ways, fit, gradient_as_sent
from bbquery.jobs import consent, targeting
from bbquery.jobs.defaults import score_for
from bbquery.jobs.estimate import estimate
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.measurements import Angle, Repeated, figures
from bbquery.jobs.evaluate.montage import InMontage
from bbquery.jobs.evaluate.names import CURVES, GRADIENT, REPEATS
from bbquery.jobs.explain.result import NothingToExplain
from bbquery.jobs.explain.setting import connection
from bbquery.jobs.probe.job import Unwatched
from bbquery.jobs.spare import Rest
from bbquery.ledger import codec
from bbquery.ledger.projects import open_within
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.metrics._boxes import inside
from bbquery.plan import Ask, step
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.specification import constructor
from bbquery.types import Labels, NoAnswer

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import Tally
    from bbquery.errors import BbqueryError
    from bbquery.estimators import Gradient
    from bbquery.images.placement import Placement
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.evaluate.choice import Question
    from bbquery.jobs.evaluate.measurements import Figure
    from bbquery.jobs.evaluate.reference import Reference
    from bbquery.jobs.probe.job import Watch
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.metrics.srg import Curves
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.plan import Plan
    from bbquery.run import Driven
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image
    from bbquery.units import Units

DEFAULT_QUERIES = 1000
LOWERED = {
    "srg": "--steps", "aopc": "--steps", "infidelity": "--copies", "mu_fidelity": "--copies",
    "repeatability": "--repeats", "max_sensitivity": "--noisy-copies",
}  # fmt: skip
"""The option that decides how much a metric asks."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a map is worth, and all that is needed to repeat and audit it.

    x: the photo's pixels as they are sent unperturbed. figures: each with its fill and steps. curves: of deletion and
    insertion; None where they were not chosen. score: how answers became numbers, bound: to the target; where lower
    values are nearer to it, figures are of their negative. unread: what could not be read in the answers. error: what
    ended the run early, None where nothing did. partial: whether figures rest on fewer answers than planned. unknown:
    attempts that may have been billed without an answer. seconds: by stage. rest: what completing it takes.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    oracle: Capabilities
    target: str
    score: Score
    bound: BoundScore
    choice: Choice
    seed: int
    figures: tuple[Figure, ...]
    curves: Curves | None
    unread: Counter[str]
    partial: bool
    queries: Tally
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]
    rest: Rest


async def evaluate_async(
    values: NDArray[np.float64],
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    choice: Choice | None = None,
    target: str | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Evaluation:
    """Ask an oracle how good a map of an image is, at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    values: (H, W) in the photo's coordinates, NaN where the oracle saw nothing; or of the pixels that are sent; for
    gradient_cosine alone also a gradient (h, w, 3) of those. choice: which metrics, and how; those that explain again
    need `Choice.made`. target: whose evidence the map shows; None takes the top class. image, oracle, score,
    max_tokens, max_usd, project, ledger, longest_wait: as of `bbquery.explain_async`. seed: of ties, random parts and
    fills.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    cap = Cap.stated(DEFAULT_QUERIES if max_queries is None else max_queries, max_tokens, max_usd)
    async with prepared(values, image, oracle, choice=choice, target=target, score=score, cap=cap, seed=seed) as job:
        with open_ledger(ledger) as opened, waiting.at_most(longest_wait):
            consent.check(job.oracle.capabilities.name, lambda: job.worst, (max_queries, max_usd), opened, project)
            return await job.run(opened, cap, project, watch or Unwatched())


@contextlib.asynccontextmanager
async def prepared(
    values: NDArray[np.float64],
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    choice: Choice | None,
    target: str | None,
    score: Score | str | None,
    cap: Cap,
    seed: int,
    made_of: Placement | None = None,
) -> AsyncIterator[Job]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated.

    made_of: where the map lies that is neither of the whole photo nor of what this oracle is sent, but of what another
    was.
    """
    photo = reading.load(image)
    chosen = choice or Choice()
    _check_cap(chosen, cap)
    async with connection(oracle) as connected:
        capabilities = connected.capabilities
        scoring = score_for(capabilities, score)
        scoring.check(capabilities, [] if target is None else [target])
        x, placement = fit(photo, capabilities.view, capabilities.domain)
        if made_of is not None and values.shape == made_of.size != placement.size:
            values = made_of.to_photo(values)
        of_photo, of_sent = _both_ways(values, placement, chosen)
        job = Job(
            photo, x, placement, of_photo, of_sent, connected, chosen, scoring, target, seed, reading.called(image)
        )
        job.check()
        yield job


def _check_cap(choice: Choice, cap: Cap) -> None:
    if cap.queries is not None and choice.queries > cap.queries:
        options = dict.fromkeys(LOWERED[name] for name in choice.chosen if name in LOWERED)
        lower = f", lower {' or '.join(options)}" if options else ""
        raise UsageError(
            f"{', '.join(choice.chosen)} ask {choice.queries} queries, but at most {cap.queries} are allowed: "
            f"raise --max-queries{lower}, or choose fewer --metrics"
        )


def _both_ways(
    values: NDArray[np.float64], placement: Placement, choice: Choice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a map in the photo's coordinates and in those that are sent; a gradient only has the latter."""
    if values.ndim == 3 and choice.chosen == ("gradient_cosine",):
        gradient = gradient_as_sent(values, placement)
        return gradient, gradient
    return both_ways(values, placement)


@dataclass(eq=False)
class Job:
    """An evaluation, checked and ready to run. x: the pixels that are sent unperturbed; sent: the map of them.

    placement: where they lie on the photo.
    """

    photo: NDArray[np.uint8]
    x: Image
    placement: Placement
    values: NDArray[np.float64]
    sent: NDArray[np.float64]
    oracle: Oracle
    choice: Choice
    score: Score
    target: str | None
    seed: int
    source: str

    def check(self) -> None:
        """See that every plan takes this photo and map, every box lies on the photo, and a gradient is of the map.

        Raises:
            UsageError: one does not.
        """
        for question in self.choice.questions().values():
            step(self._plan(question), None)
        if self.choice.boxes:
            inside(self.choice.boxes, (self.photo.shape[0], self.photo.shape[1]))
        if self._reference is not None:
            self._check_gradient(self._reference)

    @property
    def _reference(self) -> Reference | None:
        """What an estimated gradient is held against; None where that was not chosen."""
        return self.choice.gradient if "gradient_cosine" in self.choice.chosen else None

    def _check_gradient(self, reference: Reference) -> None:
        if GRADIENT in self.choice.questions():
            reference.fitting([self.x.shape])
        else:
            reference.among((self.sent, self.values))

    @property
    def worst(self) -> Units:
        """The most that a query may cost."""
        return self.oracle.quote(self.oracle.encode(self.x)).worst

    def estimate(self) -> Estimate:
        """Return what it would cost; nothing is sent."""
        quote = self.oracle.quote(self.oracle.encode(self.x))
        return estimate(quote, self.choice.queries, self.oracle.capabilities.limits)

    def identity(self) -> str:
        """Return the hash of what is asked, whatever the score and target; a second run of it resumes its budget."""
        what = {
            "evaluate": blake3(self.sent.tobytes()).hexdigest(),
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(self.x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "questions": [constructor(question) for question in self.choice.questions().values()],
            "seed": self.seed,
        }
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    async def run(self, ledger: Ledger, cap: Cap, project: str | None, watch: Watch) -> Evaluation:
        """Ask, and return figures."""
        began = time.perf_counter()
        budget = open_within(ledger, project, f"evaluate-{self.identity()}", cap, self.source)
        async with Client(self.oracle, ledger, budget, progress=watch.progressed, waiting=watch.waiting) as client:
            watch.follow(client, self.choice.asked)
            clean = await self._clean(client)
            watch.seen(clean, self.oracle.capabilities)
            bound = await client.off_loop(self.score.bind, clean, self.target, self.oracle.capabilities.classes)
            named = [] if self.target is None else [self.target]
            for line in await client.off_loop(targeting.beware, named, [bound], clean, self.oracle.capabilities):
                watch.beware(line)
            questions = self.choice.questions()
            driven = await asyncio.gather(*(self._driven(client, bound, each) for each in questions.values()))
            return self._evaluation(client, ledger, bound, dict(zip(questions, driven, strict=True)), began)

    async def _clean(self, client: Client) -> Answer:
        ((reply,),) = await client.ask(Ask(self.x[None]))
        if reply is None:
            assert client.halt.error is not None  # noqa: S101 - nothing else leaves a row unanswered
            raise client.halt.error
        if isinstance(reply.answer, NoAnswer):
            told = f"gave no answer to the unperturbed image: {reply.answer.reason}"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        if reply.answer == Labels(()) and self.target is None:
            told = "names nothing in the unperturbed image: say with --target whose evidence the map shows"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        return reply.answer

    def _plan(self, question: Question) -> Plan[Any]:
        if isinstance(question, InMontage):
            return question.plan_of(self.photo, self.x, self.oracle.capabilities)
        return question.plan(self.x, self.oracle.capabilities.domain, self.sent, self.seed)

    async def _driven(self, client: Client, score: BoundScore, question: Question) -> Driven[Any]:
        return await drive(self._plan(question), client, nearer_is_higher(score))

    def _evaluation(
        self, client: Client, ledger: Ledger, bound: BoundScore, driven: dict[str, Driven[Any]], began: float
    ) -> Evaluation:
        results = self._results(driven)
        unread: Counter[str] = Counter()
        for each in driven.values():
            unread += each.unread
        return Evaluation(
            run=self.identity(), photo=self.photo, x=self.x, oracle=self.oracle.capabilities, target=bound.target,
            score=self.score, bound=bound, choice=self.choice, seed=self.seed,
            figures=tuple(figures(self.choice, results, self.values, self.seed)),
            curves=results.get(CURVES), unread=unread, partial=any(each.stopped for each in driven.values()),
            queries=client.tally, budget=ledger.budget(client.budget), unknown=tuple(ledger.unknowns(client.budget)),
            error=client.halt.error, seconds={"ask": time.perf_counter() - began},
            rest=self._rest(client.tally, ledger.budget(client.budget)),
        )  # fmt: skip

    def _rest(self, tally: Tally, budget: BudgetState) -> Rest:
        return Rest(self.choice.queries, self.choice.queries, tally.answered, self.worst, budget)

    def _results(self, driven: dict[str, Driven[Any]]) -> dict[str, Any]:
        """Return what each question brought, and what becomes of it beside the map or a reference."""
        results = {name: each.result for name, each in driven.items()}
        if REPEATS in results:
            results[REPEATS] = Repeated.of(self.values, results[REPEATS], self.placement.to_photo)
        if self._reference is not None:
            results[GRADIENT] = self._angle(self._reference, results.get(GRADIENT))
        return results

    def _angle(self, reference: Reference, again: Gradient | None) -> Angle:
        estimate = reference.among((self.sent, self.values)) if again is None else again.values
        unanswered = 0 if again is None else again.rows - again.answered
        return Angle(reference.source, reference.cosine(estimate), 1 / math.sqrt(reference.values.size), unanswered)
