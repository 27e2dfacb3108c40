"""Judge a map: from a map, its photo and an oracle to figures, within a budget, through the same client as any run.

All that is asked is known beforehand, so a second run asks nothing, and another target asks nothing either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
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
from bbquery.jobs.evaluate import montage
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.explain.result import NothingToExplain
from bbquery.jobs.explain.setting import connection
from bbquery.jobs.probe.job import Unwatched
from bbquery.jobs.spare import Rest
from bbquery.ledger import codec
from bbquery.ledger.projects import open_within
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.metrics import Case
from bbquery.metrics._boxes import inside
from bbquery.metrics.srg import Curves
from bbquery.plan import Ask, step
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.types import Labels, NoAnswer

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import Tally
    from bbquery.errors import BbqueryError
    from bbquery.images.placement import Placement
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.probe.job import Watch
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.metrics import Measurement, Question
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.run import Driven
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image
    from bbquery.units import Units

DEFAULT_QUERIES = 1000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a map is worth, and all that is needed to repeat and audit it.

    x: the photo's pixels as they are sent unperturbed. measurements: each number with its fill and steps. curves: of
    deletion and insertion; None where they were not chosen. score: how answers became numbers, bound: to the target;
    where lower values are nearer to it, measurements are of their negative. unread: what could not be read in the
    answers. error: what ended the run early, None where nothing did. partial: whether measurements rest on fewer
    answers than planned. unknown: attempts that may have been billed without an answer. seconds: by stage. rest: what
    completing it takes.
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
    measurements: tuple[Measurement, ...]
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
        lower = f", lower {' or '.join(choice.lowering)}" if choice.lowering else ""
        raise UsageError(
            f"{', '.join(choice.chosen)} ask {choice.queries} queries, but at most {cap.queries} are allowed: "
            f"raise --max-queries{lower}, or choose fewer --metrics"
        )


def _both_ways(
    values: NDArray[np.float64], placement: Placement, choice: Choice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a map in the photo's coordinates and in those that are sent; a gradient only has the latter."""
    if values.ndim == 3 and choice.takes_gradient:
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
        """See that every metric takes this photo and map, and every box lies on the photo.

        Raises:
            UsageError: one does not.
        """
        case = self.case
        for question in self.choice.questions().values():
            step(question.plan(case), None)
        if self.choice.boxes:
            inside(self.choice.boxes, (self.photo.shape[0], self.photo.shape[1]))
        self.choice.check(case)

    @property
    def case(self) -> Case:
        """What the metrics judge."""
        photos = [self.photo, *(each.pixels for each in self.choice.montage)]
        return Case(
            x=self.x,
            domain=self.oracle.capabilities.domain,
            values=self.sent,
            in_photo=self.values,
            seed=self.seed,
            given=self.choice.given,
            to_photo=self.placement.to_photo,
            cells=lambda: montage.cells(photos, self.x.shape, self.oracle.capabilities),
        )

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
            "questions": list(self.choice.questions()),
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

    async def _driven(self, client: Client, score: BoundScore, question: Question) -> Driven[Any]:
        return await drive(question.plan(self.case), client, nearer_is_higher(score))

    def _evaluation(
        self, client: Client, ledger: Ledger, bound: BoundScore, driven: dict[str, Driven[Any]], began: float
    ) -> Evaluation:
        answers = {name: each.result for name, each in driven.items()}
        unread: Counter[str] = Counter()
        for each in driven.values():
            unread += each.unread
        return Evaluation(
            run=self.identity(), photo=self.photo, x=self.x, oracle=self.oracle.capabilities, target=bound.target,
            score=self.score, bound=bound, choice=self.choice, seed=self.seed,
            measurements=tuple(self.choice.measurements(self.case, answers)),
            curves=_curves(answers), unread=unread, partial=any(each.stopped for each in driven.values()),
            queries=client.tally, budget=ledger.budget(client.budget), unknown=tuple(ledger.unknowns(client.budget)),
            error=client.halt.error, seconds={"ask": time.perf_counter() - began},
            rest=self._rest(client.tally, ledger.budget(client.budget)),
        )  # fmt: skip

    def _rest(self, tally: Tally, budget: BudgetState) -> Rest:
        return Rest(self.choice.queries, self.choice.queries, tally.answered, self.worst, budget)


def _curves(answers: dict[str, Any]) -> Curves | None:
    """Return the curves of deletion and insertion among the answers to questions, to be shown; None without any."""
    return next((answer for answer in answers.values() if isinstance(answer, Curves)), None)
