"""Stress-test one image: look for the nearest change of it that changes what an oracle answers, within a hard budget.

Theory of operation.

1. The run's cap holds for everything that is asked: the clean image (once, five times more for how often its label
   flips by itself, and for drift), the attack, and the verification of what it found.
2. What verification may cost is set aside at the start: the attack has a budget of its own within the run's, whose caps
   are the run's less that. So however the attack ends, five queries are left, retries included. Where the clean label
   flips, ten more of the clean image and ten of what was found tell that from chance (`votes`); the attack is that much
   shorter. Where they are not (a
   project's cap, an oracle that fails, a person who stops), what was found is *unverified*, which is no success.
3. The distance is that of pixels that were asked, exactly: the result is one of the attack's own queries.
4. A run is named after all that decides what is asked: the same again resumes the same budgets, and asks only for what
   was never answered.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.drift import checks_for
from bbquery.errors import BudgetExhausted, UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.attack import votes
from bbquery.jobs.attack.result import Stress
from bbquery.jobs.attack.search import REPEATS as CLEAN_REPEATS
from bbquery.jobs.attack.search import Search
from bbquery.jobs.identity import identity
from bbquery.jobs.job import Job, connection
from bbquery.jobs.request import Request
from bbquery.jobs.spare import Rest, kept
from bbquery.ledger.records import Cap
from bbquery.option_types import is_number, items
from bbquery.scoring.mention import BoundMention
from bbquery.specification import constructor
from bbquery.types import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack
    from bbquery.client.client import Client
    from bbquery.drift import DriftReport
    from bbquery.jobs.attack.search import Sought
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.estimate import Estimate
    from bbquery.ledger.records import BudgetState
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.scoring.base import Score

REPEATS = 5  # of the image that was found
DEFAULT_ATTACK = "lr_mifgsm"
DEFAULT_RMSE = (0.1, 0.05, 0.01)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackRequest(Request):
    """What is to be attacked, and how. rmse: the distances at which success is reported."""

    attack: Attack | str = DEFAULT_ATTACK
    rmse: Sequence[float] = DEFAULT_RMSE

    def __post_init__(self) -> None:
        super().__post_init__()
        distances = items("rmse", self.rmse)
        if not distances or not all(is_number(each) and 0 < each <= 1 for each in distances):
            given = ", ".join(map(repr, distances)) or "none"
            raise UsageError(f"distances of RMSE lie above 0 and up to 1, not {given}")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The distances, the largest first."""
        return tuple(sorted(set(self.rmse), reverse=True))


@contextlib.asynccontextmanager
async def prepared(request: AttackRequest) -> AsyncIterator[AttackJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(request.image)
    async with connection(request.oracle) as oracle:
        yield job_of(request, oracle, photo)


def job_of(request: AttackRequest, oracle: Oracle, photo: NDArray[np.uint8]) -> AttackJob:
    """Return the attack that is requested, checked and ready to run. photo: what the image holds, (H, W, 3).

    Raises:
        UsageError: it cannot be asked as it is requested.
    """
    capabilities = oracle.capabilities
    if capabilities.domain.dtype != "uint8":
        raise UsageError(f"{capabilities.name} takes floating-point pixels; attacks are exact on 8-bit pixels only")
    scores = _scores(capabilities, request.score, request.targets)
    spare = kept(request.queries, capabilities.price, request.spare)
    every = request.every(capabilities)
    chosen = _attack(request.attack, request.queries, spare, every, request.thresholds[0])
    x, placement = fit(photo, capabilities.view, capabilities.domain)
    job = AttackJob(
        request=request, oracle=oracle, photo=photo, x=x, placement=placement, attack=chosen, scores=scores,
        thresholds=request.thresholds, spare=spare,
    )  # fmt: skip
    job.search_cap()  # before anything is asked
    return job


def _scores(capabilities: Capabilities, wanted: Score | str | None, targets: Sequence[str]) -> list[Score]:
    """Return the scores to try on the clean answer, in this order.

    Raises:
        UsageError: the one that is wanted, or every usual one, cannot read the answers.
    """
    if wanted is not None:
        scores = [load.score_for(capabilities, wanted)]
    else:
        scores = [load.score("label")] if capabilities.answers == "text" else [load.score("hard"), load.score("label")]
    _check_mentioned(capabilities, targets)
    for score in scores[:-1]:
        with contextlib.suppress(UsageError):
            score.check(capabilities, targets)
            return [score, scores[-1]]
    scores[-1].check(capabilities, targets)
    return scores[-1:]


def _check_mentioned(capabilities: Capabilities, targets: Sequence[str]) -> None:
    """See that a text can mention the target: one of a closed set does where the name of a class does.

    Raises:
        UnknownName: no class does.
    """
    if capabilities.answers != "text" or capabilities.classes is None:
        return
    names = [name for of_class in capabilities.classes.names for name in of_class]
    for target in targets:
        mentioned, _ = BoundMention(target)([Text(name) for name in names])
        if not mentioned.any():
            raise UnknownName("label", target, names)


def overhead(queries: int, every: int) -> int:
    """Return how many of a run's queries are not the attack's: clean image, its repeats and checks, verification."""
    return 1 + CLEAN_REPEATS + checks_for(queries, every) + REPEATS


def _attack(attack: Attack | str, queries: int, spare: int, every: int, rmse: float) -> Attack:
    """Make the attack, and see that its queries fit into the cap. spare: of these, kept for lost ones."""
    others = overhead(queries - spare, every)
    left = queries - spare - others
    lost = f", and {spare} are kept for lost ones" if spare else ""
    message = f"of {queries} queries the clean image, its checks and the verification take {others}{lost}"
    if left < 1:
        raise UsageError(f"{message}: allow more with --max-queries")
    try:
        chosen = (
            load.attack(attack, queries=left, rmse=rmse) if isinstance(attack, str) else load.given("attack", attack)
        )
    except UsageError as error:
        raise UsageError(f"{message}, which leaves {left}: {error}") from error
    if chosen.queries > left:
        raise UsageError(
            f"{message}, and {constructor(chosen)} asks {chosen.queries}: raise --max-queries or lower the attack's"
        )
    return chosen


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackJob(Job):
    """An attack, checked and ready to run. spare: queries of the cap that are kept for lost ones."""

    attack: Attack
    scores: Sequence[Score]
    thresholds: tuple[float, ...]
    spare: int

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self.attack.queries + overhead(self.attack.queries, self.every)

    @property
    def _verifying(self) -> int:
        return REPEATS + (1 if self.every else 0)

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
        cap, worst = self.request.caps, self.worst.times(self._reserved)
        try:
            return Cap(
                queries=self.request.queries - self._reserved,
                tokens=None if cap.tokens is None else cap.tokens - worst.tokens,
                picodollars=None if cap.picodollars is None else cap.picodollars - worst.picodollars,
            )
        except UsageError as error:
            message = f"the verification alone, {self._reserved} queries, would take a whole cap: raise it"
            raise UsageError(message) from error

    def identity(self) -> str:
        """Return the hash of what this run asks; a second run with the same resumes its budgets."""
        return identity(
            {
                "attack": constructor(self.attack),
                **self.subject,
                "scores": [constructor(score) for score in self.scores],
                "target": self.request.one_target,
                "seed": self.request.seed,
            }
        )

    async def run(self, ledger: Ledger) -> Stress:
        """Ask, attack, and verify, within a budget of its own, or in its project's."""
        whole = self.open_budget(ledger, f"attack-{self.identity()}", self.request.caps)
        return await self.ask(ledger, whole)

    async def ask(self, ledger: Ledger, whole: int) -> Stress:
        """Ask, attack, and verify, within a budget that is open. whole: its id."""
        own, rest = self._budgets(ledger, whole)
        began = self.request.began
        seconds = {"prepare": time.perf_counter() - began}
        async with self.client(ledger, own) as client:
            self.watch.started(client, asked := self.queries - self._verifying, asked)
            sought = await Search(self, self.attack, self.scores).run(client)
        seconds["attack"] = time.perf_counter() - began - seconds["prepare"]
        async with self.client(ledger, rest) as verifier:
            _pass_on(client, verifier)
            self.watch.measuring(verifier, self._verifying + sought.more)
            verification, drift = await _verified(verifier, sought)
        seconds["verify"] = time.perf_counter() - began - sum(seconds.values())
        return Stress(
            run=self.identity(), photo=self.photo, x=self.x, clean=sought.clean, votes=sought.votes,
            oracle=self.oracle.capabilities, attack=self.attack, score=sought.score, bound=sought.bound,
            thresholds=self.thresholds, seed=self.request.seed,
            found=None if sought.driven is None else sought.driven.result,
            verification=verification, stopped=None if sought.driven is None else sought.driven.stopped,
            error=client.halt.error or verifier.halt.error, unread=sought.unread, drift=drift,
            queries=client.tally.plus(verifier.tally), budget=ledger.budget(whole),
            unknown=(*ledger.unknowns(own), *ledger.unknowns(rest)), seconds=seconds,
            rest=self._rest(client, verifier, ledger.budget(whole)),
        )  # fmt: skip

    def _rest(self, client: Client, verifier: Client, whole: BudgetState) -> Rest:
        """Return what completing it takes. One more is kept, which is set aside for the verification.

        Where the search ended early, the verification was of another image than the whole one will find.
        """
        answered = client.tally.answered + (0 if client.halt else verifier.tally.answered)
        return Rest(self.request.queries - self.spare, self.queries + 1, answered, self.worst, whole)

    def _budgets(self, ledger: Ledger, whole: int) -> tuple[int, int]:
        """Make or resume the budgets of the search and of the verification within the whole one."""
        name = ledger.budget(whole).name
        own = ledger.open_budget(f"{name}/search", self.search_cap(), whole)
        return own, ledger.open_budget(f"{name}/verification", Cap(), whole)


def _pass_on(client: Client, verifier: Client) -> None:
    """Let what ended the search keep the verification from asking, but for a budget, which leaves it its own."""
    error = client.halt.error
    if error is not None and not isinstance(error, BudgetExhausted):
        verifier.halt.set(error, logging.DEBUG)


async def _verified(client: Client, sought: Sought) -> tuple[Votes | None, DriftReport]:
    """Ask the image that was found again, and the clean one a last time."""
    best = None if sought.driven is None else sought.driven.result.best
    counted = None
    if best is not None and not client.halt:
        replies = await votes.ask(client, best, REPEATS + sought.more, first=1)  # the search had its 0
        counted = votes.count(sought.bound, replies)
    return counted, await sought.drift.end(client)
