"""Calibrate: ask a photo and masked copies of it a few times, within a budget, and say how it is best explained.

All that is asked is asked once: every score that can read the oracle's answers is worked out from the same ones, for
every target. Nothing here adapts to answers, so a second run asks nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.identity import identity
from bbquery.jobs.job import Job, NothingToExplain, connection
from bbquery.jobs.probe import candidates
from bbquery.jobs.probe.advice import advise
from bbquery.jobs.probe.answers import Answers, of_clean, of_conditions
from bbquery.jobs.probe.design import FEWEST, Design
from bbquery.jobs.probe.result import Probe
from bbquery.jobs.probe.statistics import of_score
from bbquery.jobs.request import Request
from bbquery.jobs.spare import Rest, kept
from bbquery.jobs.targeting import check_commas
from bbquery.money import in_unit
from bbquery.scoring.base import answered
from bbquery.types import Labels

if TYPE_CHECKING:
    from bbquery.client.client import Client, QueryCounts
    from bbquery.jobs.probe.answers import Row
    from bbquery.jobs.probe.candidates import Bound, Suiting
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState, Cap
    from bbquery.plan import Ask
    from bbquery.types import Answer
    from bbquery.units import Units


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeRequest(Request):
    """What is to be probed. scores: the specifications to compare; none means every one that suits."""

    DEFAULT_QUERIES: ClassVar[int] = 100

    scores: Sequence[str] = ()


@contextlib.asynccontextmanager
async def prepared(request: ProbeRequest) -> AsyncIterator[ProbeJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(request.image)
    async with connection(request) as oracle:
        capabilities = oracle.capabilities
        check_commas(request.targets, capabilities.classes)
        suiting = candidates.suiting(capabilities, request.targets, request.scores)
        x, placement = fit(photo, capabilities.view, capabilities.domain)
        most = _affordable(oracle.quote(oracle.encode(x)).worst, request.caps)
        allowed = max(most - kept(most, capabilities.price, request.spare), FEWEST)
        yield ProbeJob(
            request=request, oracle=oracle, photo=photo, x=x, placement=placement, suiting=suiting,
            design=Design.of(allowed), allowed=allowed,
        )  # fmt: skip


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


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeJob(Job):
    """A probe, checked and ready to run.

    allowed: the queries that the design was made for, those that are kept for lost ones not counted.
    """

    suiting: Suiting
    design: Design
    allowed: int

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self.design.queries

    def identity(self) -> str:
        """Return the hash of what is asked, whatever the scores; a second run of the same resumes its budget."""
        return identity({"probe": self.queries, **self.subject, "seed": self.request.seed})

    async def run(self, ledger: Ledger) -> Probe:
        """Ask, and work out the figures."""
        began = time.perf_counter()
        budget = self.open_budget(ledger, f"probe-{self.identity()}", self.request.caps)
        domain, seed = self.oracle.capabilities.domain, self.request.seed
        async with self.client(ledger, budget) as client:
            self.watch.started(client, self.queries, self.queries)
            (clean,) = await _answers(client, self.design.clean(self.x))
            first = self._first(clean, client)
            self.watch.seen(first, self.oracle.capabilities)
            bound = await client.off_loop(self._bound, first)
            await self.beware(client, [*chain.from_iterable(bound.scores.values())], first)
            rows = await _answers(client, self.design.perturbed(self.x, domain, seed))
            blocks = await client.off_loop(self.design.blocks, self.x, domain, seed)
            found = Answers(self.design, clean, rows, blocks)
            return await client.off_loop(self._probe, client, ledger, found, bound, began)

    def _first(self, clean: Row, client: Client) -> Answer:
        """Return the first answer to the unperturbed image, which scores are bound to."""
        found = answered(clean)
        if not found and client.halt.error is not None:
            raise client.halt.error
        if not found:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in of_clean(clean, None).kinds.most_common())
            message = f"gave no answer to the unperturbed image, asked {len(clean)} times: {kinds}"
            raise NothingToExplain(message, oracle=self.oracle.capabilities.name)
        named = [answer for answer in found if answer != Labels(())]
        if not named and not self.request.targets:
            message = "names nothing in the unperturbed image: say with --target what is to be explained"
            raise NothingToExplain(message, oracle=self.oracle.capabilities.name)
        return (named or found)[0]

    def _bound(self, first: Answer) -> Bound:
        wanted: list[str | None] = [*self.request.targets] or [None]
        return candidates.bound(self.suiting, first, wanted, self.oracle.capabilities.classes)

    def _probe(self, client: Client, ledger: Ledger, found: Answers, bound: Bound, began: float) -> Probe:
        """Work out the figures; on a worker thread."""
        clean, came = of_clean(found.clean, self.oracle.capabilities.classes), of_conditions(found)
        scores = {
            specification: tuple(of_score(specification, each, found, came, self.request.seed) for each in of_targets)
            for specification, of_targets in bound.scores.items()
        }
        return Probe(
            source=self.source,
            run=self.identity(), photo=self.photo, x=self.x, oracle=self.oracle.capabilities, seed=self.request.seed,
            answers=found, clean=clean, came=came, scores=scores, unsuited=bound.unsuited,
            advice=advise(scores, clean, came), queries=client.tally, budget=ledger.budget(client.budget),
            unknown=tuple(ledger.unknowns(client.budget)), error=client.halt.error,
            seconds={"ask": time.perf_counter() - began}, rest=self._rest(client.tally, ledger.budget(client.budget)),
        )  # fmt: skip

    def _rest(self, tally: QueryCounts, budget: BudgetState) -> Rest:
        return Rest(self.allowed, self.design.queries, tally.answered, self.worst, budget)


async def _answers(client: Client, ask: Ask) -> list[Row]:
    """Ask, and return the answers to each row, None where there was none to be had."""
    return [[None if reply is None else reply.answer for reply in row] for row in await client.ask(ask)]
