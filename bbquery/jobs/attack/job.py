"""Stress-test one image: look for the nearest change of it that changes what an oracle answers, within a hard budget.

Theory of operation.

1. The run's cap holds for everything that is asked: the clean image (once, five times more for how often its label
   flips by itself, and for drift), the attack, and the verification of what it found.
2. What verification may cost, and the check of preprocessing where one is wanted, is set aside at the start: the
   attack has a budget of its own within the run's, whose caps are the run's less that. So however the attack ends, five
   queries are left, retries included. Where the clean label flips, ten more of the clean image and ten of what was
   found tell that from chance (`votes`); the attack is that much shorter. Where they are not (a project's cap, an
   oracle that fails, a person who stops), what was found is *unverified*, which is no success. Queries for further
   candidates, in case the nearest image is refuted, come out of the attack's too (`candidates`).
3. The distance is that of pixels that were asked, exactly: the result is one of the attack's own queries.
4. A run is named after all that decides what is asked: the same again resumes the same budgets, and asks only for what
   was never answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.drift import checks_for
from bbquery.errors import BudgetExhausted, UsageError
from bbquery.jobs.attack import votes
from bbquery.jobs.attack.candidates import tries
from bbquery.jobs.attack.first_labels import first_labels
from bbquery.jobs.attack.judgement import judgements
from bbquery.jobs.attack.result import Stress
from bbquery.jobs.attack.search import CLEAN_REPEATS, FOUND_REPEATS, Search
from bbquery.jobs.attack.verification import verified
from bbquery.jobs.identity import identity
from bbquery.jobs.job import Job
from bbquery.jobs.spare import Rest
from bbquery.ledger import codec
from bbquery.ledger.records import Cap
from bbquery.money import in_unit
from bbquery.specification import constructor

if TYPE_CHECKING:
    from bbquery.attacks import Attack
    from bbquery.client.client import Client
    from bbquery.jobs.attack.request import AttackRequest
    from bbquery.jobs.estimate import Estimate
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState
    from bbquery.scoring.base import Score
    from bbquery.types import Image


def overhead(queries: int, every: int) -> int:
    """Return how many of a run's queries are not the attack's: clean image, its repeats and checks, verification."""
    return 1 + CLEAN_REPEATS + checks_for(queries, every) + FOUND_REPEATS


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackJob(Job):
    """An attack, checked and ready to run.

    start: an image to begin at, as sent; None without one. spare: queries of the cap that are kept for lost ones.
    """

    request: AttackRequest
    attack: Attack
    scores: Sequence[Score]
    start: Image | None
    spare: int

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self.attack.queries + overhead(self.attack.queries, self.every) + self.request.further

    @property
    def planned(self) -> int:
        """How many queries it must be allowed: where some are kept for lost ones, the verification has one of them."""
        return self.queries + min(self.spare, 1)

    @property
    def _verifying(self) -> int:
        return FOUND_REPEATS + (1 if self.every else 0) + self.request.check_preprocessing

    @property
    def _reserved(self) -> int:
        """Queries of the verification, and one of those that are kept for lost ones."""
        return self._verifying + min(self.spare, 1)

    def estimate(self) -> Estimate:
        """Return what it would cost if every query of its cap were sent, retries among them; nothing is sent."""
        return self.estimate_of(self.request.queries)

    def search_cap(self) -> Cap:
        """Return the caps of all but the verification.

        Raises:
            UsageError: a cap leaves nothing for it.
        """
        cap, taken, left = self.request.caps, self.worst.times(self._reserved), {}
        for unit, whole in (
            ("queries", self.request.queries),
            ("tokens", cap.tokens),
            ("picodollars", cap.picodollars),
        ):
            if whole is None:
                continue
            left[unit] = whole - (part := getattr(taken, unit))
            if left[unit] < 1:
                message = f"the verification alone, {self._reserved} queries, may take {in_unit(part, unit)}"
                raise UsageError(f"{message}, and the cap is {in_unit(whole, unit)}: raise it")
        return Cap(**left)

    def identity(self) -> str:
        """Return the hash of what this run asks; a second run with the same resumes its budgets."""
        return identity(
            {
                "attack": constructor(self.attack),
                **self.subject,
                "scores": [constructor(score) for score in self.scores],
                "target": self.request.one_target,
                "seed": self.request.seed,
                **self._further_identity,
            }
        )

    @property
    def _further_identity(self) -> dict[str, Any]:
        """What else decides what is asked; nothing where all is as usual, so that older runs keep their names."""
        start = {} if self.start is None else {"start": codec.image_digest(self.start).hex()}
        checks = self.request.check_preprocessing
        return self.request.goal.identity | start | ({"check_preprocessing": checks} if checks else {})

    async def run(self, ledger: Ledger) -> Stress:
        """Ask, attack, and verify, within a budget of its own, or in its project's."""
        whole = self.open_budget(ledger, name_of(self.identity()), self.request.caps)
        return await self.ask(ledger, whole)

    async def ask(self, ledger: Ledger, whole: int) -> Stress:
        """Ask, attack, and verify, within a budget that is open. whole: its id."""
        own, rest = self._budgets(ledger, whole)
        began = self.request.began
        seconds = {"prepare": time.perf_counter() - began}
        async with self.client(ledger, own) as client:
            self.watch.started(client, asked := self.queries - self._verifying, asked)
            sought = await Search(self, self.attack, self.scores, self.request.goal, self.start).run(client)
        seconds["attack"] = time.perf_counter() - began - seconds["prepare"]
        async with self.client(ledger, rest) as verifier:
            _pass_on(client, verifier)
            self.watch.measuring(verifier, self._verifying + sought.times - FOUND_REPEATS)
            again = await verified(verifier, self.x, sought, self.request.check_preprocessing, self.watch)
            drift = await sought.drift.end(verifier)
        seconds["verify"] = time.perf_counter() - began - sum(seconds.values())
        return Stress(
            source=self.source,
            run=self.identity(), photo=self.photo, x=self.x, clean=sought.first, votes=sought.votes,
            oracle=self.oracle.capabilities, attack=self.attack, score=sought.bound.score, bound=sought.bound.label,
            goal=self.request.goal, reached=sought.bound.goal, start=self.start,
            thresholds=self.request.thresholds, linf_thresholds=self.request.linf_thresholds, seed=self.request.seed,
            found=again.found, refuted=again.refuted,
            verification=None if again.replies is None else votes.count(sought.bound.goal, again.replies),
            labels=first_labels(again.replies or (), self.oracle.capabilities.classes),
            judgements=judgements(sought.bound, sought.clean, again.replies, tries(len(again.refuted))),
            treated=again.treated,
            stopped=None if sought.driven is None else sought.driven.stopped,
            error=client.halt.error or verifier.halt.error, unread=sought.unread, drift=drift,
            queries=client.tally.plus(verifier.tally), budget=ledger.budget(whole),
            unknown=(*ledger.unknowns(own), *ledger.unknowns(rest)), seconds=seconds,
            rest=self._rest(client, verifier, ledger.budget(whole)),
        )  # fmt: skip

    def _rest(self, client: Client, verifier: Client, whole: BudgetState) -> Rest:
        """Return what completing it takes.

        Where the search ended early, the verification was of another image than the whole one will find.
        """
        answered = client.tally.answered + (0 if client.halt else verifier.tally.answered)
        return Rest(self.request.queries - self.spare, self.planned, answered, self.worst, whole)

    def _budgets(self, ledger: Ledger, whole: int) -> tuple[int, int]:
        """Make or resume the budgets of the search and of the verification within the whole one."""
        name = ledger.budget(whole).name
        own = ledger.open_budget(f"{name}/search", self.search_cap(), whole)
        return own, ledger.open_budget(f"{name}/verification", Cap(), whole)


def name_of(run: str) -> str:
    """Return the name of a run's budget, within its project's where it has one."""
    return f"attack-{run}"


def _pass_on(client: Client, verifier: Client) -> None:
    """Let what ended the search keep the verification from asking, but for a budget, which leaves it its own."""
    error = client.halt.error
    if error is not None and not isinstance(error, BudgetExhausted):
        verifier.halt.set(error, logging.DEBUG)
