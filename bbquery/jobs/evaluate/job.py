"""Judge a map: from a map, its photo and an oracle to figures, within a budget, through the same client as any run.

All that is asked is known beforehand, so a second run asks nothing, and another target asks nothing either.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from bbquery import load
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import both_ways, fit, gradient_as_sent
from bbquery.jobs.evaluate import montage
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.made import check_oracle, check_photo, check_score, of_another, warnings
from bbquery.jobs.evaluate.result import Evaluation
from bbquery.jobs.identity import identity
from bbquery.jobs.job import Job, connection
from bbquery.jobs.request import Request
from bbquery.jobs.spare import Rest
from bbquery.metrics import Case
from bbquery.metrics._boxes import inside
from bbquery.metrics.srg import Curves
from bbquery.plan import step
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import Client, QueryCounts
    from bbquery.images.placement import Placement
    from bbquery.jobs.evaluate.made import Made
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState, Cap
    from bbquery.metrics import Question
    from bbquery.run import Driven
    from bbquery.scoring.base import BoundScore, Score

NOTHING = ": say with --target whose evidence the map shows"


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluateRequest(Request):
    """What map is to be judged, and by what.

    values: (H, W) in the photo's coordinates, or of the pixels that are sent; or a gradient (h, w, 3) of those.
    choice: which metrics, and how. made: how the map was made, where a record says so. named: which of "oracle" and
    "score" a person named, so that they may be others than the map's. of: where the map is from, in words.
    """

    values: NDArray[np.float64]
    choice: Choice = field(default_factory=Choice)
    made: Made | None = None
    named: frozenset[str] = frozenset()
    of: str = ""


@contextlib.asynccontextmanager
async def prepared(request: EvaluateRequest) -> AsyncIterator[EvaluateJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(request.image)
    _check_cap(request.choice, request.caps)
    async with connection(request) as oracle:
        capabilities = oracle.capabilities
        scoring = load.score_for(capabilities, request.score)
        scoring.check(capabilities, request.targets)
        x, placement = fit(photo, capabilities.view, capabilities.domain)
        values, made_of = request.values, None if request.made is None else request.made.placement
        if made_of is not None and values.shape == made_of.size != placement.size:
            values = made_of.to_photo(values)
        of_photo, of_sent = _both_ways(values, placement, request.choice)
        job = EvaluateJob(
            request=request, oracle=oracle, photo=photo, x=x, placement=placement, values=of_photo, sent=of_sent,
            choice=request.choice, score=scoring,
        )  # fmt: skip
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


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluateJob(Job):
    """An evaluation, checked and ready to run. values: the map on the photo; sent: on the pixels that are sent."""

    request: EvaluateRequest
    values: NDArray[np.float64]
    sent: NDArray[np.float64]
    choice: Choice
    score: Score

    def check(self) -> None:
        """See that every metric takes this photo and map, every box lies on the photo, and the map is of all this.

        Raises:
            UsageError: one does not.
        """
        case = self.case
        for question in self.choice.questions().values():
            step(question.plan(case), None)
        if self.choice.boxes:
            inside(self.choice.boxes, (self.photo.shape[0], self.photo.shape[1]))
        self.choice.check(case)
        if self.request.made is not None:
            self._check_fits(self.request.made)

    def _check_fits(self, made: Made) -> None:
        named = self.request.named
        if "oracle" not in named:
            check_oracle(made, self.oracle.capabilities, self.request.oracle)
        check_score(made, self.score, named="score" in named, again=self.choice.made is not None)
        check_photo(made, self.photo)

    @property
    def case(self) -> Case:
        """What the metrics judge."""
        photos = [self.photo, *(each.pixels for each in self.choice.montage)]
        return Case(
            x=self.x,
            domain=self.oracle.capabilities.domain,
            values=self.sent,
            in_photo=self.values,
            seed=self.request.seed,
            given=self.choice.given,
            to_photo=self.placement.to_photo,
            cells=lambda: montage.cells(photos, self.x.shape, self.oracle.capabilities),
        )

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self.choice.queries

    def identity(self) -> str:
        """Return the hash of what is asked, whatever the score and target; a second run of it resumes its budget."""
        return identity({
            "evaluate": blake3(self.sent.tobytes()).hexdigest(),
            **self.subject,
            "questions": list(self.choice.questions()),
            "seed": self.request.seed,
        })  # fmt: skip

    async def run(self, ledger: Ledger) -> Evaluation:
        """Ask, and return figures."""
        began = time.perf_counter()
        for text in of_another(self.request.made, self.oracle.capabilities):
            self.watch.beware(text)
        return await self.ask(ledger, self.open_budget(ledger, name_of(self.identity()), self.request.caps), began)

    async def ask(self, ledger: Ledger, budget: int, began: float) -> Evaluation:
        """Ask within a budget that is open already, and return figures."""
        async with self.client(ledger, budget) as client:
            self.watch.started(client, self.choice.asked, self.choice.asked)
            clean = (await self.clean(client, nothing=NOTHING)).answer
            classes = self.oracle.capabilities.classes
            bound = await client.off_loop(self.score.bind, clean, self.request.one_target, classes)
            await self.beware(client, [bound], clean)
            questions = self.choice.questions()
            driven = await asyncio.gather(*(self._driven(client, bound, each) for each in questions.values()))
            return self._evaluation(client, ledger, bound, dict(zip(questions, driven, strict=True)), began)

    async def _driven(self, client: Client, score: BoundScore, question: Question) -> Driven[Any]:
        return await drive(question.plan(self.case), client, nearer_is_higher(score))

    def _evaluation(
        self, client: Client, ledger: Ledger, bound: BoundScore, driven: dict[str, Driven[Any]], began: float
    ) -> Evaluation:
        answers = {name: each.result for name, each in driven.items()}
        unread: Counter[str] = Counter()
        for each in driven.values():
            unread += each.unread
        measurements, curves = tuple(self.choice.measurements(self.case, answers)), _curves(answers)
        partial = any(each.stopped for each in driven.values())
        warned = warnings(
            self.request.made, self.oracle.capabilities, self.choice,
            measurements=measurements, curves=curves, partial=partial,
        )  # fmt: skip
        return Evaluation(
            source=self.source, of=self.request.of,
            run=self.identity(), photo=self.photo, x=self.x, oracle=self.oracle.capabilities, target=bound.target,
            score=self.score, bound=bound, choice=self.choice, seed=self.request.seed,
            measurements=measurements, curves=curves, unread=unread, partial=partial, warnings=tuple(warned),
            queries=client.tally, budget=ledger.budget(client.budget), unknown=tuple(ledger.unknowns(client.budget)),
            error=client.halt.error, seconds={"ask": time.perf_counter() - began},
            rest=self._rest(client.tally, ledger.budget(client.budget)),
        )  # fmt: skip

    def _rest(self, tally: QueryCounts, budget: BudgetState) -> Rest:
        return Rest(self.choice.queries, self.choice.queries, tally.answered, self.worst, budget)


def name_of(run: str) -> str:
    """Return the name of a run's budget, within its project's where it has one."""
    return f"evaluate-{run}"


def _curves(answers: dict[str, Any]) -> Curves | None:
    """Return the curves of deletion and insertion among the answers to questions, to be shown; None without any."""
    return next((answer for answer in answers.values() if isinstance(answer, Curves)), None)
