"""The part of a run that is not verification: the clean image, how steady its label is, and the attack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.drift import DriftWatch
from bbquery.errors import UsageError
from bbquery.jobs import targeting
from bbquery.jobs.attack import candidates, steadiness, votes
from bbquery.jobs.attack.candidates import Candidates
from bbquery.jobs.attack.first_labels import first_label
from bbquery.jobs.attack.goal import bind_first
from bbquery.plan import stopping_after
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.types import Decision, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.attacks import Attack, AttackResult
    from bbquery.client.client import Client
    from bbquery.jobs.attack.goal import Bound, Goal
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.job import Job
    from bbquery.run import Driven
    from bbquery.scoring.base import Score
    from bbquery.types import Answer, Classes, Image, Reply

CLEAN_REPEATS = 5  # of the clean image beside its first answer
FOUND_REPEATS = 5  # of what was found
MORE = 10  # of the clean image and of what was found, each, where those differ
NO_LABEL = ", so there is no label to lose"
FIRST_REPEAT = 1_000_000  # the number of the first of them; smaller ones are the drift checks'


@dataclass(frozen=True, eq=False)
class Sought:
    """What was found, and of what.

    clean: the replies to the clean image, None where there was none. times: how often to ask what was found again.
    driven: None where the clean image's own label does not stand, or the goal is reached already. candidates: what else
    was found, in case that is refuted; further: how many of them may be asked again.
    """

    clean: Sequence[Reply | None]
    first: Answer
    votes: Votes
    bound: Bound
    drift: DriftWatch
    times: int
    driven: Driven[AttackResult] | None
    candidates: Candidates
    further: int

    @property
    def unread(self) -> Counter[str]:
        """What the score could not read, by how often."""
        return Counter() if self.driven is None else self.driven.unread


@dataclass(frozen=True, eq=False)
class Search:
    """The search of an attack. scores: to try on the clean answer, in this order. start: an image to begin at."""

    job: Job
    attack: Attack
    scores: Sequence[Score]
    goal: Goal
    start: Image | None

    async def run(self, client: Client) -> Sought:
        """Ask the clean image until its label is known, and attack it if that label stands.

        Raises:
            OracleError, BudgetExhausted: the clean image was not answered. UsageError: no score can read the answer; or
                the start image does not reach the goal.
        """
        job = self.job
        first = await job.clean(client, nothing=NO_LABEL, what="the clean image")
        bound = await client.off_loop(self._bound, first.answer)
        await job.beware(client, [bound.label], first.answer)
        if self.start is None and self.goal.target_class is not None:  # a start image shows that there is such a label
            words = self.goal.target_class, first.answer, job.oracle.capabilities
            self._beware(await client.off_loop(targeting.beware_of_class, *words))
        drift = DriftWatch(job.x, first, bound.label, job.every, self.attack.queries)
        await drift.start(client)
        clean: list[Reply | None] = [first, *await votes.ask(client, job.x, CLEAN_REPEATS, first=FIRST_REPEAT)]
        more = MORE if _differ(votes.count(bound.goal, clean)) else 0
        if more:
            clean += await votes.ask(client, job.x, more, first=FIRST_REPEAT + CLEAN_REPEATS)
        counted = votes.count(bound.goal, clean)
        stands = votes.count(bound.criteria[self.goal.criterion], clean)
        attacked = Decision.MET == counted.majority == stands.majority
        times, kept = FOUND_REPEATS + more, Candidates(job.x)
        further = candidates.further(self.attack.queries, times, counted)
        asked = self.attack.queries - 2 * more - further * times  # the cap is the same, and so is the run
        driven = None
        if attacked:
            self._beware(steadiness.doubts(clean, counted, self.goal, bound, job.oracle.capabilities))
            driven = await self._driven(client, bound, drift, kept, asked)
        return Sought(clean, first.answer, counted, bound, drift, times, driven, kept, further)

    def _beware(self, lines: Sequence[str]) -> None:
        """Warn the watch before the search."""
        for line in lines:
            self.job.watch.beware(line)

    async def _driven(
        self, client: Client, bound: Bound, drift: DriftWatch, kept: Candidates, asked: int
    ) -> Driven[AttackResult]:
        """Drive the attack, from the start image where there is one. asked: its queries, without what is set aside."""
        job, start = self.job, self.start
        if start is not None:
            await self._check_start(client, start, bound)
        plan = self.attack.plan(
            job.x, job.oracle.capabilities.domain, job.request.seed, *([] if start is None else [start])
        )
        if asked < self.attack.queries:
            plan = stopping_after(plan, max(0, asked))
        return await drive(kept.of(plan), client, nearer_is_higher(bound.goal), drift)

    async def _check_start(self, client: Client, start: Image, bound: Bound) -> None:
        """Ask the start image, as the attack will, which then finds the answer in the store.

        Raises:
            UsageError: it does not reach the goal.
        """
        (reply,) = await votes.ask(client, start, 1, first=0)
        if reply is None:  # the run has ended, which the attack will see
            return
        counted = votes.count(bound.goal, [reply])
        if not counted.left:
            capabilities = self.job.oracle.capabilities
            said = f"{capabilities.name} answers {_said(reply.answer, capabilities.classes)}"
            wanted = f"not be {bound.label.target!r}" if self.goal.target_class is None else f"be {bound.goal.target!r}"
            raise UsageError(f"the start image must {wanted}, and {said}: give another --start, or none")

    def _bound(self, clean: Answer) -> Bound:
        """Bind the first score that can read the clean answer; on a worker thread."""
        return bind_first(
            self.goal, self.scores, clean, self.job.request.one_target, self.job.oracle.capabilities.classes
        )


def _said(answer: Answer, classes: Classes | None) -> str:
    """Return what an answer names first, for people."""
    if isinstance(answer, NoAnswer):
        return f"nothing ({answer.reason})"
    first = first_label(answer, classes)
    return "an empty list" if first is None else repr(first)


def _differ(counted: Votes) -> bool:
    return counted.kept > 0 and counted.left > 0
