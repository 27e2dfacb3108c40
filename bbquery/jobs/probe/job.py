"""Calibrate: ask a photo and masked copies of it a few times, within a budget, and say how it is best explained.

All that is asked is asked once: every score that can read the oracle's answers is worked out from the same ones, for
every target. Nothing here adapts to answers, so a second run asks nothing.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from bbquery.client import waiting
from bbquery.client.client import Client
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs import consent, targeting
from bbquery.jobs.estimate import estimate
from bbquery.jobs.explain import explain
from bbquery.jobs.explain.explain import NothingToExplain
from bbquery.jobs.probe import candidates
from bbquery.jobs.probe.advice import advise
from bbquery.jobs.probe.answers import Answers, of_clean, of_conditions
from bbquery.jobs.probe.design import FEWEST, Design
from bbquery.jobs.probe.statistics import of_score
from bbquery.jobs.spare import Rest, kept
from bbquery.ledger import codec
from bbquery.ledger.projects import open_within
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.money import in_unit
from bbquery.scoring.base import answered
from bbquery.types import Labels

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import Tally
    from bbquery.errors import BbqueryError
    from bbquery.images.placement import Placement
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.probe.advice import Advice
    from bbquery.jobs.probe.answers import AnswerFigures, CleanFigures, Row
    from bbquery.jobs.probe.candidates import Bound, Suiting
    from bbquery.jobs.probe.statistics import ScoreFigures
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.plan import Ask
    from bbquery.types import Answer, Image
    from bbquery.units import Units

DEFAULT_QUERIES = 100


class Watch(Protocol):
    """What a probe tells while it runs."""

    def follow(self, client: Client, total: int, /) -> None:
        """The client is open and will ask so many queries; `client.halt.set` stops the run."""

    def seen(self, clean: Answer, capabilities: Capabilities, /) -> None:
        """The unperturbed image was answered."""

    def beware(self, text: str, /) -> None:
        """Something must be known before the budget goes."""

    def progressed(self) -> None:
        """A query was answered."""

    def waiting(self, text: str, /) -> None:
        """The oracle asks to be left alone, and the run waits."""


class Unwatched:
    """A `Watch` that hears nothing."""

    def follow(self, *_: object) -> None:
        """Hear that it begins."""

    def seen(self, *_: object) -> None:
        """Hear what the oracle sees."""

    def beware(self, *_: object) -> None:
        """Hear what must be known."""

    def progressed(self) -> None:
        """Hear of a query."""

    def waiting(self, *_: object) -> None:
        """Hear of a wait."""


@dataclass(frozen=True, eq=False)
class Probe:
    """What a probe found, and what it rests on.

    x: the photo's pixels as they are sent unperturbed. scores: the figures of each score, one for each target, by the
    specification that makes it. unsuited: why other scores were left out. error: what ended the run early (a budget,
    the oracle, a person), None where nothing did. unknown: attempts of this run's budget that may have been billed
    without an answer. seconds: by stage. rest: what completing it takes.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    oracle: Capabilities
    seed: int
    answers: Answers
    clean: CleanFigures
    came: tuple[AnswerFigures, ...]
    scores: Mapping[str, tuple[ScoreFigures, ...]]
    unsuited: Mapping[str, str]
    advice: Advice
    queries: Tally
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]
    rest: Rest

    @property
    def partial(self) -> bool:
        """Whether it rests on fewer answers than planned."""
        return any(answer is None for row in (self.answers.clean, *self.answers.rows) for answer in row)

    @property
    def chosen(self) -> tuple[ScoreFigures, ...]:
        """The figures of the score that is recommended."""
        return self.scores[self.advice.score]

    @property
    def cost_of_query(self) -> int | None:
        """Picodollars that a query really cost, on average; None where this run has paid for none."""
        posted = self.budget.posted
        return round(posted.picodollars / posted.queries) if posted.queries else None


async def probe_async(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    target: str | Sequence[str] | None = None,
    scores: Sequence[str] = (),
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Probe:
    """Ask an image and masked copies of it, at most `max_queries` (default: 100), and say how it is best explained.

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    image, oracle, target, max_tokens, max_usd, project, spare, seed, ledger, longest_wait: as of
    `bbquery.explain_async`. scores: the specifications to compare; none means every score that suits the oracle's
    answers, in each of its forms.

    Fewer queries are planned where the worst case of so many would pass a cap, so that a cap does not end the run.

    Raises:
        UsageError: bad input, no score suits, or the caps are too small; found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    cap = Cap.stated(DEFAULT_QUERIES if max_queries is None else max_queries, max_tokens, max_usd)
    async with prepared(image, oracle, target=target, scores=scores, cap=cap, seed=seed, spare=spare) as job:
        with open_ledger(ledger) as opened, waiting.at_most(longest_wait):
            consent.check(job.oracle.capabilities.name, lambda: job.worst, (max_queries, max_usd), opened, project)
            return await job.run(opened, cap, project, watch or Unwatched())


@contextlib.asynccontextmanager
async def prepared(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    target: str | Sequence[str] | None,
    scores: Sequence[str],
    cap: Cap,
    seed: int,
    spare: int | None = None,
) -> AsyncIterator[Job]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(image)
    targets = [target] if isinstance(target, str) else list(target or [])
    async with explain.connection(oracle) as connected:
        targeting.check_commas(targets, connected.capabilities.classes)
        suiting = candidates.suiting(connected.capabilities, targets, scores)
        x, placement = fit(photo, connected.capabilities.view, connected.capabilities.domain)
        most = _affordable(connected.quote(connected.encode(x)).worst, cap)
        allowed = max(most - kept(most, connected.capabilities.price, spare), FEWEST)
        design, source = Design.of(allowed), reading.called(image)
        yield Job(photo, x, connected, suiting, targets, design, seed, allowed, placement, source)


def _affordable(worst: Units, cap: Cap) -> int:
    """Return how many queries fit into every cap, each at its worst.

    Raises:
        UsageError: fewer than a probe needs.
    """
    allowed = {
        unit: most // each
        for unit, each, most in (
            ("queries", worst.queries, cap.queries),
            ("tokens", worst.tokens, cap.tokens),
            ("picodollars", worst.picodollars, cap.picodollars),
        )
        if most is not None and each
    }
    unit = min(allowed, key=lambda unit: allowed[unit])
    if allowed[unit] < FEWEST:
        each = getattr(worst, unit)
        option = {"queries": "--max-queries", "tokens": "--max-tokens", "picodollars": "--max-usd"}[unit]
        raise UsageError(
            f"a probe needs at least {FEWEST} queries, which may come to {in_unit(FEWEST * each, unit)}, "
            f"and {in_unit(getattr(cap, unit), unit)} allow {allowed[unit]}: raise {option}"
        )
    return allowed[unit]


@dataclass(eq=False)
class Job:
    """A probe, checked and ready to run. x: the pixels that are sent unperturbed.

    allowed: the queries that the design was made for, those that are kept for lost ones not counted.
    """

    photo: NDArray[np.uint8]
    x: Image
    oracle: Oracle
    suiting: Suiting
    targets: list[str]
    design: Design
    seed: int
    allowed: int
    placement: Placement
    source: str

    @property
    def worst(self) -> Units:
        """The most that a query may cost."""
        return self.oracle.quote(self.oracle.encode(self.x)).worst

    def estimate(self) -> Estimate:
        """Return what it would cost; nothing is sent."""
        quote = self.oracle.quote(self.oracle.encode(self.x))
        return estimate(quote, self.design.queries, self.oracle.capabilities.limits)

    def identity(self) -> str:
        """Return the hash of what is asked, whatever the scores; a second run of the same resumes its budget."""
        what = {
            "probe": self.design.queries,
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(self.x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "seed": self.seed,
        }
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    async def run(self, ledger: Ledger, cap: Cap, project: str | None, watch: Watch) -> Probe:
        """Ask, and work out the figures."""
        began = time.perf_counter()
        budget = open_within(ledger, project, f"probe-{self.identity()}", cap, self.source)
        domain = self.oracle.capabilities.domain
        async with Client(self.oracle, ledger, budget, progress=watch.progressed, waiting=watch.waiting) as client:
            watch.follow(client, self.design.queries)
            (clean,) = await _answers(client, self.design.clean(self.x))
            first = self._first(clean, client)
            watch.seen(first, self.oracle.capabilities)
            bound = await client.off_loop(self._bound, first)
            for line in await client.off_loop(self._beware, first, bound):
                watch.beware(line)
            rows = await _answers(client, self.design.perturbed(self.x, domain, self.seed))
            blocks = await client.off_loop(self.design.blocks, self.x, domain, self.seed)
            found = Answers(self.design, clean, rows, blocks)
            return await client.off_loop(self._probe, client, ledger, found, bound, began)

    def _first(self, clean: Row, client: Client) -> Answer:
        """Return the first answer to the unperturbed image, which scores are bound to."""
        found = answered(clean)
        if not found and client.halt.error is not None:
            raise client.halt.error
        if not found:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in of_clean(clean, None).kinds.most_common())
            told = f"gave no answer to the unperturbed image, asked {len(clean)} times: {kinds}"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        named = [answer for answer in found if answer != Labels(())]
        if not named and not self.targets:
            told = "names nothing in the unperturbed image: say with --target what is to be explained"
            raise NothingToExplain(told, oracle=self.oracle.capabilities.name)
        return (named or found)[0]

    def _bound(self, first: Answer) -> Bound:
        wanted: list[str | None] = [*self.targets] or [None]
        return candidates.bound(self.suiting, first, wanted, self.oracle.capabilities.classes)

    def _beware(self, first: Answer, bound: Bound) -> list[str]:
        """Return what the scores find amiss with the targets, each once: several say the same of one."""
        capabilities = self.oracle.capabilities
        told = (targeting.beware(self.targets, scores, first, capabilities) for scores in bound.scores.values())
        return list(dict.fromkeys(chain.from_iterable(told)))

    def _probe(self, client: Client, ledger: Ledger, found: Answers, bound: Bound, began: float) -> Probe:
        """Work out the figures; on a worker thread."""
        clean, came = of_clean(found.clean, self.oracle.capabilities.classes), of_conditions(found)
        scores = {
            specification: tuple(of_score(specification, each, found, came, self.seed) for each in of_targets)
            for specification, of_targets in bound.scores.items()
        }
        return Probe(
            run=self.identity(), photo=self.photo, x=self.x, oracle=self.oracle.capabilities, seed=self.seed,
            answers=found, clean=clean, came=came, scores=scores, unsuited=bound.unsuited,
            advice=advise(scores, clean, came), queries=client.tally, budget=ledger.budget(client.budget),
            unknown=tuple(ledger.unknowns(client.budget)), error=client.halt.error,
            seconds={"ask": time.perf_counter() - began}, rest=self._rest(client.tally, ledger.budget(client.budget)),
        )  # fmt: skip

    def _rest(self, tally: Tally, budget: BudgetState) -> Rest:
        return Rest(self.allowed, self.design.queries, tally.answered, self.worst, budget)


async def _answers(client: Client, ask: Ask) -> list[Row]:
    """Ask, and return the answers to each row, None where there was none to be had."""
    return [[None if reply is None else reply.answer for reply in row] for row in await client.ask(ask)]
