"""The part of a run that is not verification: the clean image, how steady its label is, and the attack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.drift import DriftWatch
from bbquery.errors import UsageError
from bbquery.jobs.attack import votes
from bbquery.plan import stopping_after
from bbquery.run import drive
from bbquery.scoring.base import nearer_is_higher
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.attacks import Attack, AttackResult
    from bbquery.client.client import Client
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.job import Job
    from bbquery.run import Driven
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer

REPEATS = 5  # of the clean image beside its first answer
MORE = 10  # of the clean image and of what was found, each, where those differ
NO_LABEL = ", so there is no label to lose"
FIRST_REPEAT = 1_000_000  # the number of the first of them; smaller ones are the drift checks'


@dataclass(frozen=True, eq=False)
class Sought:
    """What was found, and of what.

    more: how often to ask that again beyond the default. driven: None where the clean image's own label does not stand.
    """

    clean: Answer
    votes: Votes
    score: Score
    bound: BoundScore
    drift: DriftWatch
    more: int
    driven: Driven[AttackResult] | None

    @property
    def unread(self) -> Counter[str]:
        """What the score could not read, by how often."""
        return Counter() if self.driven is None else self.driven.unread


@dataclass(frozen=True, eq=False)
class Search:
    """The search of an attack. scores: to try on the clean answer, in this order."""

    job: Job
    attack: Attack
    scores: Sequence[Score]

    async def run(self, client: Client) -> Sought:
        """Ask the clean image until its label is known, and attack it if that label stands.

        Raises:
            OracleError, BudgetExhausted: the clean image was not answered. UsageError: no score can read the answer.
        """
        job = self.job
        first = await job.clean(client, nothing=NO_LABEL, what="the clean image")
        score, bound = await client.off_loop(self._bound, first.answer)
        await job.beware(client, [bound], first.answer)
        drift = DriftWatch(job.x, first, bound, job.every, self.attack.queries)
        await drift.start(client)
        repeats = await votes.ask(client, job.x, REPEATS, first=FIRST_REPEAT)
        more = MORE if _differ(votes.count(bound, [first, *repeats])) else 0
        if more:
            repeats += await votes.ask(client, job.x, more, first=FIRST_REPEAT + REPEATS)
        counted = votes.count(bound, [first, *repeats])
        driven = None
        if counted.majority == Decision.MET:
            plan = self.attack.plan(job.x, job.oracle.capabilities.domain, job.request.seed)
            if more:  # they come out of the attack's queries: the cap is the same, and so is the run
                plan = stopping_after(plan, max(0, self.attack.queries - 2 * more))
            driven = await drive(plan, client, nearer_is_higher(bound), drift)
        return Sought(first.answer, counted, score, bound, drift, more, driven)

    def _bound(self, clean: Answer) -> tuple[Score, BoundScore]:
        """Bind the first score that can read the clean answer; on a worker thread."""
        classes, target = self.job.oracle.capabilities.classes, self.job.request.one_target
        for score in self.scores[:-1]:
            try:
                return score, score.bind(clean, target, classes)
            except UsageError:  # its label is no noun, say
                continue
        return self.scores[-1], self.scores[-1].bind(clean, target, classes)


def _differ(counted: Votes) -> bool:
    return counted.kept > 0 and counted.left > 0
